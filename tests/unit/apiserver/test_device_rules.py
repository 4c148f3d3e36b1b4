"""Claims for devices, what their status may say, and the slices that offer them."""

from typing import Any

import pytest

from tiphys.api.field_errors import FieldError
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.resource_k8s_io import (
    claim_rules,
    claim_status_rules,
    device_rules,
    names,
    slice_rules,
)
from tiphys.apiserver.resources.resource_k8s_io.bounded import each_entry, unique_of
from tiphys.apiserver.resources.resource_k8s_io.request_policy import request_policy

KINDS = {
    "FieldValueInvalid": "invalid",
    "FieldValueRequired": "required",
    "FieldValueDuplicate": "duplicate",
    "FieldValueNotSupported": "unknown",
    "FieldValueForbidden": "forbidden",
    "FieldValueTooLong": "long",
    "FieldValueTooMany": "many",
}
EXACTLY = {"deviceClassName": "c", "allocationMode": "ExactCount", "count": 1}
UID = "11111111-1111-4111-8111-111111111111"


def places(errors: list[FieldError]) -> list[str]:
    return [f"{e.path} {KINDS[e.kind]}" for e in errors]


def claim(requests: Any = None, **devices: Any) -> Obj:
    found = [{"name": "r", "exactly": EXACTLY}] if requests is None else requests
    return {"devices": {"requests": found, **devices}}


def exactly(**changes: Any) -> Obj:
    return claim([{"name": "r", "exactly": {**EXACTLY, **changes}}])


REQUEST = "spec.devices.requests[0]"
WISH = f"{REQUEST}.exactly"
PARAMETERS = {"driver": "d.example.com", "parameters": {"a": 1}}
TWO_NAMES = [{"name": "r", "exactly": EXACTLY}] * 2


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        (claim(), []),
        (claim([{"name": "r"}]), [f"{REQUEST} required"]),
        (
            claim([{"name": "r", "exactly": EXACTLY, "firstAvailable": [{}]}]),
            [f"{REQUEST} invalid"],
        ),
        (claim(TWO_NAMES), ["spec.devices.requests[1] duplicate"]),
        (claim([{"name": "r", "exactly": EXACTLY}] * 33), ["spec.devices.requests many"]),
        (exactly(deviceClassName=""), [f"{WISH}.deviceClassName required"]),
        (exactly(allocationMode="Some"), [f"{WISH}.allocationMode unknown"]),
        (exactly(allocationMode="All"), [f"{WISH}.count invalid"]),
        (exactly(count=0), [f"{WISH}.count invalid"]),
        (exactly(selectors=[{}]), [f"{WISH}.selectors[0].cel required"]),
        (exactly(tolerations=[{"operator": "x"}]), [f"{WISH}.tolerations[0].operator unknown"]),
        (claim(constraints=[{"requests": ["r"]}]), ["spec.devices.constraints[0] required"]),
        (
            claim(constraints=[{"requests": ["x"], "matchAttribute": "model"}]),
            [
                "spec.devices.constraints[0].requests[0] invalid",
                "spec.devices.constraints[0].matchAttribute invalid",
            ],
        ),
        (claim(config=[{"opaque": PARAMETERS}]), []),
        (claim(config=[{}]), ["spec.devices.config[0].opaque required"]),
        (
            claim(config=[{"opaque": PARAMETERS | {"parameters": [1]}}]),
            ["spec.devices.config[0].opaque.parameters invalid"],
        ),
    ],
)
def test_what_a_claim_asks_for(spec: Obj, found: list[str]) -> None:
    assert places(claim_rules.claim_spec(spec, "spec")) == found


@pytest.mark.parametrize(
    ("name", "is_known"),
    [("r", True), ("r/a", True), ("r/x", False), ("x", False), ("r/a/b", False)],
)
def test_names_of_requests(name: str, is_known: bool) -> None:
    known = {"r": frozenset({"a"})}
    assert (claim_rules.request_name(name, "p", known) == []) is is_known


@pytest.mark.parametrize(
    ("labels", "is_allowed"),
    [
        ({claim_rules.ADMIN_LABEL: "true"}, True),
        ({claim_rules.ADMIN_LABEL: "yes"}, False),
        ({}, False),
    ],
)
def test_who_may_share_devices_that_are_taken(labels: dict[str, str], is_allowed: bool) -> None:
    errors = claim_rules.admin_access(exactly(adminAccess=True), labels)
    assert (errors == []) is is_allowed
    assert claim_rules.admin_access(exactly(), labels) == []


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ('device.driver == "d"', ""),
        ('device.attributes["d.example.com"].model == "x"', ""),
        ('device.capacity["d.example.com"].memory.isGreaterThan(quantity("1Gi"))', ""),
        ("device.allowMultipleAllocations", ""),
        ('device.attributes["d.example.com"].model', ""),
        ("1", "must evaluate to bool or the unknown type, not int"),
        ("device.name == ''", "compilation failed: ERROR: <input>:1:7: undefined field 'name'"),
        ("bad(", "compilation failed: ERROR: <input>:1:5: Syntax error"),
    ],
)
def test_expressions_that_choose_devices(expression: str, text: str) -> None:
    errors = device_rules.selectors([{"cel": {"expression": expression}}], "p")
    assert [e.detail[: len(text)] for e in errors] == ([text] if text else [])


@pytest.mark.parametrize(
    ("name", "count"),
    [("a", 0), ("_a1", 0), ("d.example.com/a", 0), ("1a", 1), ("/a", 1), ("d/", 1), ("a/b/c", 0)],
)
def test_qualified_names(name: str, count: int) -> None:
    assert len(names.qualified_name(name, "p")) == count


@pytest.mark.parametrize(
    ("uid", "is_right"), [(UID, True), (UID.replace("1", "A"), False), ("x", False)]
)
def test_uids(uid: str, is_right: bool) -> None:
    assert (names.uid(uid, "p") == []) is is_right


def test_too_many_are_not_looked_at() -> None:
    def never(item: object, path: str) -> list[FieldError]:
        raise AssertionError

    assert places(unique_of([1, 1, 1], 2, never, id, "p")) == ["p many"]


def test_long_names_are_shortened_in_paths() -> None:
    def wrong(value: object, path: str) -> list[FieldError]:
        return [FieldError("FieldValueRequired", path)]

    found = each_entry({"abcdefghij": 1}, lambda n, p: [], wrong, "p", 7)
    assert places(found) == ["p[ab...ij] required"]


@pytest.mark.parametrize(
    ("policy", "found"),
    [
        ({}, []),
        ({"validValues": ["1", "2"], "default": "1"}, []),
        ({"validValues": ["1"]}, ["p.default required"]),
        ({"validValues": ["1"], "validRange": {"min": "1"}}, ["p forbidden"]),
        ({"validValues": ["2", "1"], "default": "1"}, ["p.validValues[1] invalid"]),
        ({"validValues": ["1", "1"], "default": "1"}, ["p.validValues[1] duplicate"]),
        ({"validValues": ["1", "20"], "default": "1"}, ["p.validValues[1] invalid"]),
        ({"validValues": ["1"], "default": "3"}, ["p.validValues invalid"]),
        ({"validRange": {"min": "1", "max": "4", "step": "1"}, "default": "2"}, []),
        ({"validRange": {}, "default": "1"}, ["p.validRange.min required"]),
        ({"validRange": {"min": "11"}, "default": "12"}, ["p.validRange.min invalid"]),
        ({"validRange": {"min": "2"}, "default": "1"}, ["p.validRange.default invalid"]),
        ({"validRange": {"min": "2", "max": "1"}, "default": "2"}, [
            "p.validRange.max invalid", "p.validRange.default invalid",
        ]),
        ({"validRange": {"min": "1", "step": "0"}, "default": "1"}, ["p.validRange.step invalid"]),
        ({"validRange": {"min": "1", "step": "2"}, "default": "2"}, ["p.validRange.step invalid"]),
    ],
)  # fmt: skip
def test_how_much_may_be_asked_for(policy: Obj, found: list[str]) -> None:
    assert places(request_policy("10", policy, "p")) == found


RESULT = {"request": "r", "driver": "d.example.com", "pool": "p", "device": "a"}
DEVICE = {name: RESULT[name] for name in ("driver", "pool", "device")}
CONSUMER = {"resource": "pods", "name": "a", "uid": "1"}
CONDITION = {"type": "T", "status": "True", "reason": "R", "lastTransitionTime": "x"}


def allocated(*results: Obj, **status: Any) -> Obj:
    return {"allocation": {"devices": {"results": list(results or [RESULT])}}, **status}


@pytest.mark.parametrize(
    ("status", "found"),
    [
        (allocated(reservedFor=[CONSUMER]), []),
        ({"reservedFor": [CONSUMER]}, ["status.reservedFor forbidden"]),
        (allocated(reservedFor=[CONSUMER] * 2), ["status.reservedFor[1] duplicate"]),
        (allocated(reservedFor=[{"resource": "pods"}]), [
            "status.reservedFor[0].name required", "status.reservedFor[0].uid required",
        ]),
        (allocated(RESULT | {"request": "x"}), [
            "status.allocation.devices.results[0].request invalid",
        ]),
        (allocated(RESULT | {"pool": ""}), ["status.allocation.devices.results[0].pool required"]),
        (allocated(devices=[DEVICE]), []),
        (allocated(devices=[DEVICE | {"device": "b"}]), ["status.devices[0] invalid"]),
        (allocated(devices=[DEVICE | {"conditions": [CONDITION]}]), []),
        (allocated(devices=[DEVICE | {"conditions": [CONDITION | {"status": "x"}]}]), [
            "status.devices[0].conditions[0].status unknown",
        ]),
        (allocated(devices=[DEVICE | {"networkData": {"ips": ["10.1.1.1"]}}]), [
            "status.devices[0].networkData.ips[0] invalid",
        ]),
    ],
)  # fmt: skip
def test_what_a_claims_status_may_say(status: Obj, found: list[str]) -> None:
    new = {"metadata": {}, "spec": claim(), "status": status}
    old = {"metadata": {}, "spec": claim(), "status": {}}
    assert places(claim_status_rules.validate_status_update(new, old)) == found


def test_an_allocation_stays() -> None:
    old = {"metadata": {}, "spec": claim(), "status": allocated()}
    new = old | {"status": allocated(RESULT | {"device": "b"})}
    assert places(claim_status_rules.validate_status_update(new, old)) == [
        "status.allocation invalid"
    ]


def test_nobody_joins_a_claim_that_ends() -> None:
    ends = {"deletionTimestamp": "x"}
    old = {"metadata": ends, "spec": claim(), "status": allocated(reservedFor=[CONSUMER])}
    more = [CONSUMER, CONSUMER | {"uid": "2"}]
    new = old | {"status": allocated(reservedFor=more)}
    assert places(claim_status_rules.validate_status_update(new, old)) == [
        "status.reservedFor forbidden"
    ]
    assert claim_status_rules.validate_status_update(old, old) == []


SLICE = {
    "driver": "d.example.com",
    "pool": {"name": "p", "resourceSliceCount": 1, "generation": 1},
    "nodeName": "n",
    "devices": [{"name": "a"}],
}


def device(**changes: Any) -> Obj:
    return SLICE | {"devices": [{"name": "a", **changes}]}


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        (SLICE, []),
        (SLICE | {"nodeName": None}, ["spec required"]),
        (SLICE | {"nodeName": ""}, ["spec.nodeName invalid", "spec required"]),
        (SLICE | {"allNodes": True}, ["spec invalid"]),
        (SLICE | {"allNodes": False}, ["spec.allNodes invalid"]),
        (SLICE | {"pool": {"name": "p", "generation": -1}}, [
            "spec.pool.resourceSliceCount invalid", "spec.pool.generation invalid",
        ]),
        (SLICE | {"sharedCounters": [{"name": "s", "counters": {"a": {"value": "1"}}}]}, [
            "spec invalid",
        ]),
        (SLICE | {"devices": [{"name": "a"}] * 2}, ["spec.devices[1] duplicate"]),
        (device(name="A_"), ["spec.devices[0].name invalid"]),
        (device(nodeName="n"), ["spec.devices[0] invalid"]),
        (device(attributes={"a": {}}), ["spec.devices[0].attributes[a] invalid"]),
        (device(attributes={"a": {"version": "x"}}), [
            "spec.devices[0].attributes[a].version invalid",
        ]),
        (device(attributes={"a": {"int": 1}}), []),
        (device(attributes={"a": {"int": 1, "bool": True}}), [
            "spec.devices[0].attributes[a] invalid",
        ]),
        (device(taints=[{"key": "k", "effect": "x"}]), [
            "spec.devices[0].taints[0].effect unknown",
        ]),
    ],
)  # fmt: skip
def test_what_a_slice_offers(spec: Obj, found: list[str]) -> None:
    assert places(slice_rules.validate({"spec": spec})) == found


@pytest.mark.parametrize("field", ["driver", "nodeName"])
def test_a_slice_stays_whose_it_is(field: str) -> None:
    errors = slice_rules.validate_update({"spec": SLICE | {field: "x"}}, {"spec": SLICE})
    assert places(errors) == [f"spec.{field} invalid"]
