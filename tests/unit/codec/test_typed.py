import re

import pytest

from oracle import message_of, target_of
from shared import cases, needs_shared
from tiphys.api.meta import Obj
from tiphys.codec.typed import DecodeError, to_typed

_REFUSED = re.compile(r'\S+ in version "\S+" cannot be handled as a \w+: (?P<why>.*)', re.S)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_POD = "core.v1.Pod"


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        pytest.param({"spec": {"nodeName": "", "priority": 0}}, {"priority": 0}, id="empty"),
        pytest.param({"spec": {"hostNetwork": False, "hostPID": None}}, {}, id="false-and-null"),
        pytest.param({"spec": {"tolerations": []}}, {}, id="empty-list"),
        pytest.param({"spec": {"unknown": 1}}, {}, id="unknown"),
        pytest.param({"spec": {"overhead": {"cpu": 1}}}, {"overhead": {"cpu": "1"}}, id="quantity"),
    ],
)
def test_pod_spec(given: Obj, wanted: Obj) -> None:
    spec = to_typed(given, _POD)["spec"]
    assert spec == {"containers": None} | wanted


def test_zero_values_that_go_writes() -> None:
    made = to_typed({"status": {"containerStatuses": [{"name": "c"}]}}, _POD)
    assert made["status"]["containerStatuses"] == [
        {
            "name": "c",
            "ready": False,
            "restartCount": 0,
            "image": "",
            "imageID": "",
            "state": {},
            "lastState": {},
        }
    ]
    assert made["metadata"] == {}


def test_times_are_utc_seconds() -> None:
    made = to_typed({"metadata": {"creationTimestamp": "2024-01-01T02:00:00.5+02:00"}}, _POD)
    assert made["metadata"] == {"creationTimestamp": "2024-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"spec": {"containers": [{"name": 1}]}},
            "json: cannot unmarshal number into Go struct field Container.spec.containers.name "
            "of type string",
        ),
        (
            {"spec": {"volumes": [{"configMap": {"defaultMode": "x"}}]}},
            "json: cannot unmarshal string into Go struct field ConfigMapVolumeSource.spec."
            "volumes.VolumeSource.configMap.defaultMode of type int32",
        ),
    ],
)
def test_wrong_types(given: Obj, message: str) -> None:
    with pytest.raises(DecodeError) as refused:
        to_typed(given, _POD)
    assert str(refused.value) == message


@needs_shared
def test_bodies_of_the_wrong_type_are_refused_as_upstream_does() -> None:
    wrong = []
    total = 0
    for case in (*cases("protocol/b*"), *cases("writes/*")):
        for step in case["steps"]:
            match = _REFUSED.fullmatch(message_of(step))
            target = target_of(step["path"])
            body = step.get("body")
            if match is None or target is None or not isinstance(body, dict):
                continue
            if not re.match("json:|illegal|quantities|parsing time", match["why"]):
                continue
            if step["method"] == "PATCH":
                continue
            total += 1
            sub = target.info.subresources.get(target.subresource)
            if sub is not None and sub.kind != target.info.gvk:
                continue
            try:
                to_typed(body, target.info.schema_type)
                found = ""
            except DecodeError as error:
                found = str(error)
            # The recording hides whatever looks like a time, layouts included.
            if _TIME.sub("TIME", found) != match["why"]:
                wrong.append((case["id"], found, match["why"]))
    assert total > 50
    assert wrong == []


def test_a_null_of_bytes_is_empty_and_so_is_a_required_list() -> None:
    secret = to_typed({"metadata": {}, "data": {"a": None}}, "core.v1.Secret")
    assert secret["data"] == {"a": ""}
    assert to_typed({"metadata": {}, "rules": []}, "rbac.v1.Role")["rules"] is None
