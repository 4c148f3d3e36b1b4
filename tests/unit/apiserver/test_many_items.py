"""Rules of lists take time as the lists are long, not its square; and numbers without end."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tiphys.api.meta import Obj
from tiphys.api.percentage import PERCENTAGE_MAX, percentage
from tiphys.apiserver.context import RequestContext
from tiphys.apiserver.custom_resources import definition_rules
from tiphys.apiserver.owner_references import keep_owners_once
from tiphys.apiserver.resources.apps import daemon_set
from tiphys.apiserver.resources.batch.job_status_rules import validate_status_update
from tiphys.apiserver.resources.certificates import rules as certificate_rules
from tiphys.apiserver.resources.core import node_rules
from tiphys.apiserver.resources.node import runtime_class
from tiphys.apiserver.resources.resource_k8s_io import device_rules
from tiphys.apiserver.resources.rules import mounts, workload
from tiphys.apiserver.resources.rules.texts import repeats
from tiphys.apiserver.resources.storage import csi_node, storage_class
from unit.apiserver.many import MANY, seconds_of

LONG = "1" * 5_000  # Digits. More than Python makes a number of.


def owned(*uids: str) -> Obj:
    owners = [
        {"apiVersion": "v1", "kind": "Pod", "name": "p", "controller": False, "uid": uid}
        for uid in uids
    ]
    return {"metadata": {"name": "a", "ownerReferences": owners}}


def keep_once(obj: Obj) -> list[str]:
    warnings: list[str] = []
    ctx = cast("RequestContext", SimpleNamespace(warnings=warnings))
    keep_owners_once(ctx, obj)
    return warnings


def test_owners_are_kept_once() -> None:
    obj = owned("u", "v", "u", "u")
    obj["metadata"]["ownerReferences"][2] = dict(
        reversed(obj["metadata"]["ownerReferences"][2].items())
    )
    [told] = keep_once(obj)
    assert told.endswith("duplicate UID(s) observed: u, u")
    assert [owner["uid"] for owner in obj["metadata"]["ownerReferences"]] == ["u", "v"]


def test_where_values_stand_again() -> None:
    assert list(repeats(["a", "b", "a", "a", "c", "b"])) == [2, 3, 5]


NODE: Obj = {"metadata": {"name": "n"}, "status": {"addresses": [
    {"type": "Hostname", "address": str(n)} for n in range(MANY)
]}}  # fmt: skip
CLASS: Obj = {"metadata": {"name": "c"}, "handler": "h", "scheduling": {"tolerations": [
    {"key": f"k{n}", "operator": "Exists"} for n in range(MANY)
]}}  # fmt: skip
REQUEST: Obj = {"metadata": {"name": "r"}, "spec": {
    "signerName": "a.io/b", "usages": [f"u{n}" for n in range(MANY)],
}}  # fmt: skip
DEFINITION: Obj = {"metadata": {"name": "zs.acme.io"}, "spec": {"conversion": {
    "strategy": "Webhook",
    "webhook": {
        "clientConfig": {"url": "https://a.io"},
        "conversionReviewVersions": [f"v{n}" for n in range(MANY)],
    },
}}}  # fmt: skip
TOPOLOGIES: Obj = {"metadata": {"name": "a"}} | {
    "provisioner": "p.io",
    "allowedTopologies": [{}] * MANY,
}
DRIVERS: Obj = {"metadata": {"name": "a"}} | {"spec": {"drivers": [
    {"name": "d.io", "nodeID": "n", "topologyKeys": [f"k{n}" for n in range(MANY)]}
]}}  # fmt: skip
DEVICE: Obj = {
    "bindingConditions": [f"a{n}" for n in range(MANY)],
    "bindingFailureConditions": [f"b{n}" for n in range(MANY)],
}
VERSIONS: list[str] = [f"v{n}" for n in range(MANY // 10)]
STORED: Obj = {"metadata": {"name": "a"}} | {
    "spec": {"versions": [{"name": name} for name in VERSIONS]},
    "status": {"storedVersions": VERSIONS},
}
JOB_SPEC: Obj = {"completionMode": "Indexed", "completions": 10**9, "backoffLimitPerIndex": 1}
JOB: Obj = {"metadata": {"name": "j"}, "spec": JOB_SPEC, "status": {
    "completedIndexes": ",".join(str(4 * n) for n in range(MANY)),
    "failedIndexes": ",".join(str(4 * n + 2) for n in range(MANY)),
}}  # fmt: skip


@pytest.mark.parametrize(
    "work",
    [
        pytest.param(lambda: keep_once(owned(*map(str, range(MANY)))), id="owners"),
        pytest.param(lambda: node_rules.validate_update(NODE, NODE), id="addresses"),
        pytest.param(lambda: runtime_class.validate(CLASS), id="tolerations"),
        pytest.param(lambda: certificate_rules.validate(REQUEST), id="usages"),
        pytest.param(lambda: definition_rules.definition_errors(DEFINITION), id="reviews"),
        pytest.param(lambda: storage_class.validate(TOPOLOGIES), id="topologies"),
        pytest.param(lambda: csi_node.validate(DRIVERS), id="keys-of-topologies"),
        pytest.param(lambda: device_rules.binding_conditions(DEVICE, "d"), id="conditions"),
        pytest.param(lambda: definition_rules.definition_errors(STORED), id="stored-versions"),
        pytest.param(lambda: validate_status_update(JOB, {"spec": JOB_SPEC}), id="intervals"),
    ],
)
def test_what_costs_too_much(work: Callable[[], object]) -> None:
    assert seconds_of(work) < 1


@pytest.mark.parametrize(
    ("completed", "failed", "common"),
    [
        ("0-2,5", "4-5", 5),
        ("0-2,5-9", "3-4,7", 7),
        ("1,3,5", "0,2,4", None),
        ("0-9", "x,4", 4),
        ("3", "0-5", 3),
    ],
)
def test_indexes_that_overlap(completed: str, failed: str, common: int | None) -> None:
    status = {"completedIndexes": completed, "failedIndexes": failed}
    job = {"metadata": {"name": "j"}, "spec": JOB_SPEC, "status": status}
    found = [e.detail for e in validate_status_update(job, {"spec": JOB_SPEC})]
    found = [text for text in found if "overlap" in text]
    wanted = f"failedIndexes and completedIndexes overlap at index: {common}"
    assert found == ([] if common is None else [wanted])


@pytest.mark.parametrize(
    ("given", "created", "updated"),
    [
        ("7", "7", "8"),
        ("0", "1", "1"),
        ("", "1", ""),
        (LONG, "1", LONG),
        ("\u00b2", "1", "\u00b2"),
    ],
)
def test_template_generations(given: str, created: str, updated: str) -> None:
    key = "deprecated.daemonset.template.generation"
    old: Obj = {"metadata": {"annotations": {key: given}}, "spec": {"template": {}}}
    new: Obj = {"metadata": {"generation": 1}, "spec": {"template": {"spec": {}}}}
    daemon_set.before_update(new, old)
    assert new["metadata"]["annotations"][key] == updated
    daemon_set.before_create(old)
    assert old["metadata"]["annotations"][key] == created


@pytest.mark.parametrize(
    ("value", "errors", "zero"),
    [
        ("100%", 0, False),
        ("101%", 1, False),
        (f"{LONG}%", 1, False),
        (LONG, 0, False),
        ("0" * 5_000 + "1%", 0, False),
        ("0" * 5_000 + "%", 0, True),
        ("-0", 0, True),
        ("+1", 0, False),
        ("x", 0, True),
        (0, 0, True),
        (None, 0, True),
    ],
)
def test_numbers_and_percentages(value: Any, errors: int, zero: bool) -> None:
    assert len(workload.at_most_all(value, "p")) == errors
    assert workload.is_zero(value) is zero


@pytest.mark.parametrize(
    ("text", "number"),
    [("0%", 0), ("93%", 93), ("0" * 5_000 + "7%", 7), (f"{LONG}%", PERCENTAGE_MAX)],
)
def test_percentages(text: str, number: int) -> None:
    assert percentage(text) == number


@pytest.mark.parametrize(
    ("terms", "told"),
    [(1, []), (2, [1]), (3, [1, 2, 2])],
)
def test_topologies_that_say_the_same(terms: int, told: list[int]) -> None:
    """A term is told as often as there is one like it before."""
    term = {"matchLabelExpressions": [{"key": "zone", "values": ["a"]}]}
    found = storage_class.validate({"provisioner": "p.io", "allowedTopologies": [term] * terms})
    wanted = [f"allowedTopologies[{index}].matchLabelExpressions" for index in told]
    assert [e.path for e in found if e.kind == "FieldValueDuplicate"] == wanted


def test_mounts_beside_devices() -> None:
    container = {
        "volumeMounts": [{"name": f"m{n}", "mountPath": f"/m{n}"} for n in range(MANY)],
        "volumeDevices": [{"name": f"d{n}", "devicePath": f"/d{n}"} for n in range(MANY)],
    }
    assert seconds_of(lambda: mounts.mounts(container, "c", {})) < 1
    assert seconds_of(lambda: mounts.devices(container, "c", {})) < 1
