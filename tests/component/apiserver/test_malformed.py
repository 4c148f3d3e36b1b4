"""Whatever a client sends, the answer is a Status that says what is wrong with it.

Never a 5xx, but that a revision is not there yet (504, to be tried again), that nobody is behind a
proxy (503), and what upstream takes for its own fault (UPSTREAMS_500); never more than a second of
CPU, and the memory of the server stays where it was.
"""

import base64
import json
import random
import resource
from collections.abc import Iterator
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.in_process import UPSTREAMS_500, Lab, status_of
from support.odd_requests import OddRequest, a_request

CASES: Final = 2_000
CASES_OF_E2E: Final = 100_000
CPU_SECONDS_MAX: Final = 1.0
MEMORY_MB_MAX: Final = 400  # That many requests may add to the process, hypothesis included.

# Of paths that are nobody's, and of documents of OpenAPI.
_WITHOUT_STATUS: Final = (b"404 page not found\n", b"")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("api"))
    yield made
    made.close()


def problem_of(lab: Lab, asked: OddRequest) -> str:
    """What is wrong with the answer; empty for a good one."""
    status, body, seconds = lab.ask(asked)
    if seconds > CPU_SECONDS_MAX:
        return f"took {seconds:.2f} s"
    if status < 400 or (status == 404 and body in _WITHOUT_STATUS):
        return ""
    found = status_of(body)
    if (found.get("kind"), found.get("code")) != ("Status", status):
        return f"{status} without a Status: {body[:200]!r}"
    path = asked.target.partition("?")[0].split("/")
    message = found.get("message", "")
    is_upstreams = status == 504 or (status == 503 and "proxy" in path)
    is_upstreams |= status == 500 and any(text in message for text in UPSTREAMS_500)
    return "" if status < 500 or is_upstreams else f"{status}: {message}"


CONFIG_MAPS: Final = "/api/v1/namespaces/default/configmaps"
PODS: Final = "/api/v1/namespaces/default/pods"
DEFINITIONS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
AUTOSCALERS: Final = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers"
_JSON: Final = {"content-type": "application/json"}
_APPLY: Final = {"content-type": "application/apply-patch+yaml"}
_STRATEGIC: Final = {"content-type": "application/strategic-merge-patch+json"}
_JSON_PATCH: Final = {"content-type": "application/json-patch+json"}
_FUTURE: Final = b'{"v":"meta.k8s.io/v1","rv":9223372036854775807,"start":"default/a"}'


def nested(depth: int, key: str = "a") -> Any:
    made: Any = {}
    for _ in range(depth):
        made = {key: made}
    return made


def a_map(**more: Any) -> bytes:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}} | more
    return json.dumps(body).encode()


DEPLOYMENTS: Final = "/apis/apps/v1/namespaces/default/deployments"


def rolling(**how: str) -> bytes:
    """A Deployment that is wrong in nothing else."""
    template = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    spec = {
        "selector": {"matchLabels": {"a": "b"}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": how},
        "template": template,
    }
    return json.dumps({"metadata": {"name": "rolling"}, "spec": spec}).encode()


# What was found by the tests below, and what it is answered with now.
FOUND: Final = [
    pytest.param("GET", f"{CONFIG_MAPS}?pretty=1&{'a&' * 2000}", {}, b"", 400, id="query-told-of"),
    pytest.param("GET", f"/livez?{'a&' * 2000}", {}, b"", 400, id="query-of-a-document"),
    pytest.param("POST", CONFIG_MAPS, _JSON, b"[" * 5000, 400, id="depth-of-what-is-no-json"),
    pytest.param("POST", CONFIG_MAPS, _JSON, b'{"a":' * 5000, 400, id="depth-of-objects"),
    pytest.param(
        "POST", CONFIG_MAPS, _JSON, a_map(metadata={"annotations": {"a": "\ud800"}}), 422,
        id="lone-surrogates",
    ),
    pytest.param(
        "POST", CONFIG_MAPS, _JSON, b'{"metadata":{"name":"\\ud800"},"x":NaN}', 400, id="no-numbers"
    ),
    pytest.param("PATCH", f"{CONFIG_MAPS}/a", _APPLY, a_map(x=1), 422, id="apply-without-manager"),
    pytest.param(
        "PATCH", f"{CONFIG_MAPS}/z?fieldManager=m", _APPLY,
        a_map(metadata={"name": "z", "namespace": [1]}), 400, id="apply-namespace-that-is-a-list",
    ),
    pytest.param(
        "PATCH", f"{CONFIG_MAPS}/a?fieldManager=m", _APPLY, a_map(x=1), 500, id="apply-unknown"
    ),
    pytest.param(
        "PATCH", f"{CONFIG_MAPS}/a", _STRATEGIC, b'{"data":{"$patch":"nope"}}', 400, id="directive"
    ),
    pytest.param(
        "PATCH", f"{PODS}/a", _STRATEGIC, b'{"spec":{"containers":[{}]}}', 500, id="no-merge-key"
    ),
    pytest.param("PATCH", f"{PODS}/a", _STRATEGIC, b'"x"', 400, id="patch-that-is-a-text"),
    pytest.param(
        "PATCH", "/apis/apps/v1/namespaces/default/deployments/a/scale", _JSON_PATCH,
        b'[{"op":"add","path":"/apiVersion","value":[1]}]', 422, id="version-that-is-a-list",
    ),
    pytest.param(
        "PUT", f"{CONFIG_MAPS}/a", _JSON, a_map(metadata={"name": "a", "resourceVersion": "x"}),
        400, id="revision-of-an-update",
    ),
    pytest.param("GET", f"{CONFIG_MAPS}/a?resourceVersion=x", {}, b"", 500, id="revision-of-a-get"),
    pytest.param(
        "GET", f"{CONFIG_MAPS}?watch=1&resourceVersion=x", {}, b"", 500, id="revision-of-a-watch"
    ),
    pytest.param(
        "GET", f"{CONFIG_MAPS}?continue={base64.urlsafe_b64encode(_FUTURE).decode().rstrip('=')}",
        {}, b"", 400, id="token-of-the-future",
    ),
    pytest.param(
        "POST", f"{PODS}/a/binding", _JSON, b'{"metadata":{"name":"a"},"target":{}}', 500,
        id="binding-to-nothing",
    ),
    pytest.param(
        "GET", CONFIG_MAPS,
        {"accept": "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io"},
        b"", 406, id="table-in-protobuf",
    ),
    pytest.param(
        "POST", CONFIG_MAPS, _JSON, a_map(metadata={"finalizers": [""] * 40_000}), 400, id="items"
    ),
    pytest.param(
        "POST", "/apis/apps/v1/namespaces/default/controllerrevisions", _JSON,
        json.dumps({"metadata": {"name": "a"}, "revision": 1, "data": {"k": "v" * 2**21}}).encode(),
        413, id="too-big-to-store",
    ),
    pytest.param(
        "PATCH", f"{PODS}/a", _STRATEGIC,
        json.dumps({"spec": {"containers": [{"name": f"c{n}"} for n in range(10_000)]}}).encode(),
        422, id="many-elements-to-merge",
    ),
    pytest.param(
        "PATCH", f"{CONFIG_MAPS}/a?fieldManager=m", _APPLY, a_map(data={"x": nested(400)}), 400,
        id="depth-of-what-is-applied",
    ),
    pytest.param(
        "PATCH", f"{PODS}/n?fieldManager=m", _APPLY,
        json.dumps({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "n"},
            "spec": {"containers": [{"name": nested(300)}]},
        }).encode(),
        500, id="depth-of-a-key",
    ),
    pytest.param(
        "POST", DEFINITIONS, _JSON,
        json.dumps({"spec": {"versions": [{"schema": {"openAPIV3Schema": nested(900, "not")}}]}})
        .encode(),
        400, id="depth-of-a-schema",
    ),
    pytest.param(
        "POST", f"{CONFIG_MAPS}?dryRun=All", _JSON,
        a_map(metadata={"name": "owned", "managedFields": [{
            "manager": "m", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
            "fieldsV1": nested(600, "f:a"),
        }]}),
        201, id="depth-of-managed-fields",
    ),
    pytest.param(
        "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", _JSON,
        json.dumps({"metadata": {"name": "a"}, "spec": {"versions": [{
            "name": "v1",
            "schema": {"openAPIV3Schema": {"type": "object", "dependencies": {"a": None}}},
        }]}}).encode(), 422, id="null-among-dependencies",
    ),
    pytest.param(
        "POST", DEPLOYMENTS, _JSON, rolling(maxUnavailable="1" * 5000 + "%"), 422,
        id="digits-of-a-percentage",
    ),
    pytest.param(
        "POST", DEPLOYMENTS, _JSON, rolling(maxUnavailable="1" * 5000), 422, id="digits-of-a-number"
    ),
]  # fmt: skip


@pytest.mark.parametrize(("method", "target", "headers", "body", "wanted"), FOUND)
def test_what_was_found_is_refused(
    lab: Lab, method: str, target: str, headers: dict[str, str], body: bytes, wanted: int
) -> None:
    asked = OddRequest(method, target, headers, body)
    assert problem_of(lab, asked) == ""
    assert lab.ask(asked)[0] == wanted


def test_what_kubectl_has_applied_before_may_be_nested_too_deeply(lab: Lab) -> None:
    """It says nothing then: what others own stays theirs."""
    note = "kubectl.kubernetes.io/last-applied-configuration"
    held = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "data": {"x": nested(600)}})
    metadata = {"name": "before", "annotations": {note: held}}
    made = OddRequest("POST", CONFIG_MAPS, _JSON, a_map(metadata=metadata, data={"x": "y"}))
    assert lab.ask(made)[0] == 201
    config = a_map(metadata={"name": "before"}, data={"x": "z"})
    apply = OddRequest("PATCH", f"{CONFIG_MAPS}/before?fieldManager=kubectl", _APPLY, config)
    assert problem_of(lab, apply) == ""
    assert lab.ask(apply)[0] == 409


_METRICS_NOTE: Final = "autoscaling.alpha.kubernetes.io/metrics"
_BEHAVIOR_NOTE: Final = "autoscaling.alpha.kubernetes.io/behavior"


@pytest.mark.parametrize(
    ("note", "text"),
    [
        (_METRICS_NOTE, '[{"type":[]}]'),
        (_METRICS_NOTE, '[{"type":"Object","object":{"target":3}}]'),
        (_METRICS_NOTE, '[{"type":"Object","object":3}]'),
        (_METRICS_NOTE, "[3]"),
        (_METRICS_NOTE, '"x"'),
        (_BEHAVIOR_NOTE, '{"scaleUp":{"Policies":[1]}}'),
        (_BEHAVIOR_NOTE, '{"scaleUp":{"tolerance":[]}}'),
        (_BEHAVIOR_NOTE, '{"scaleUp":{"stabilizationWindowSeconds":"x"}}'),
        (_BEHAVIOR_NOTE, '{"scaleUp":{"selectPolicy":[]}}'),
        (_BEHAVIOR_NOTE, '{"scaleUp":[]}'),
        ("autoscaling.alpha.kubernetes.io/conditions", '"x"'),
        ("autoscaling.alpha.kubernetes.io/current-metrics", '[{"type":"Pods","pods":[]}]'),
    ],
)
def test_an_annotation_that_holds_no_fields_says_nothing(lab: Lab, note: str, text: str) -> None:
    autoscaler = {
        "metadata": {"name": "h", "annotations": {note: text}},
        "spec": {
            "maxReplicas": 2,
            "targetCPUUtilizationPercentage": 50,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
        },
    }
    body = json.dumps(autoscaler).encode()
    assert lab.ask(OddRequest("POST", AUTOSCALERS, _JSON, body))[0] == 201
    own = f"{AUTOSCALERS}/h"
    assert lab.ask(OddRequest("PUT", f"{own}/status", _JSON, body))[0] == 200
    protobuf = {"accept": "application/vnd.kubernetes.protobuf"}
    newer = own.replace("/v1/", "/v2/")
    assert lab.ask(OddRequest("GET", newer, protobuf, b""))[0] == 200
    shown = json.loads(lab.ask(OddRequest("GET", newer, {}, b""))[1])
    assert [m["type"] for m in shown["spec"]["metrics"]] == ["Resource"]
    assert "behavior" not in shown["spec"]
    assert (shown["status"].get("conditions"), shown["status"]["currentMetrics"]) == (None, None)
    assert lab.ask(OddRequest("DELETE", own, {}, b""))[0] == 200


def test_a_list_with_an_item_twice_takes_an_apply(lab: Lab) -> None:
    """Upstream: the live object is typed with typed.AllowDuplicates, the applied one is not."""
    twice = json.dumps(
        [{"op": "add", "path": "/metadata/finalizers", "value": ["x.io/y", "x.io/y"]}]
    ).encode()
    assert lab.ask(OddRequest("PATCH", f"{CONFIG_MAPS}/a", _JSON_PATCH, twice))[0] == 200
    body = a_map(metadata={"name": "a", "finalizers": ["x.io/z"]})
    asked = OddRequest("PATCH", f"{CONFIG_MAPS}/a?fieldManager=m", _APPLY, body)
    status, answer, _ = lab.ask(asked)
    assert (status, json.loads(answer)["metadata"]["finalizers"]) == (
        200, ["x.io/y", "x.io/y", "x.io/z"],
    )  # fmt: skip
    body = a_map(metadata={"name": "a", "finalizers": ["x.io/y", "x.io/y"]})
    asked = OddRequest("PATCH", f"{CONFIG_MAPS}/a?fieldManager=m", _APPLY, body)
    assert lab.ask(asked)[0] == 500
    back = b'[{"op":"remove","path":"/metadata/finalizers"}]'
    assert lab.ask(OddRequest("PATCH", f"{CONFIG_MAPS}/a", _JSON_PATCH, back))[0] == 200


def check(lab: Lab, count: int, *, derandomize: bool) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=derandomize,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 2**48).map(lambda seed: a_request(random.Random(seed))))
    def every(asked: OddRequest) -> None:
        assert problem_of(lab, asked) == ""

    every()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < MEMORY_MB_MAX


def test_some_odd_requests_are_refused(lab: Lab) -> None:
    check(lab, CASES, derandomize=True)


@pytest.mark.slow
def test_very_many_odd_requests_are_refused(lab: Lab) -> None:
    check(lab, CASES_OF_E2E, derandomize=False)
