"""`metadata.managedFields` as a table of managers, and back."""

from typing import Any

import pytest

from tiphys.apiserver.field_manager import entries as table
from tiphys.apiserver.field_manager.entries import (
    FIELDS_DEPTH_MAX,
    KEPT_KEY_LENGTH_MAX,
    OLD_UPDATERS,
    UPDATERS_MAX,
    BadManagedFields,
    Entry,
    ManagerKey,
    capped,
    is_reset,
    read,
    write,
)
from tiphys.apiserver.field_manager.scale import through_scale
from tiphys.codec.fields.field_set import FieldSet

REPLICAS: FieldSet = {"f:spec": {"f:replicas": {}}}
BOTH: FieldSet = {"f:spec": {"f:paused": {}, "f:replicas": {}}}


def an_entry(**changes: Any) -> dict[str, Any]:
    entry = {
        "manager": "m",
        "operation": "Update",
        "apiVersion": "v1",
        "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:data": {"f:a": {}}},
    }
    return entry | changes


def nested(depth: int) -> FieldSet:
    made: FieldSet = {}
    for _ in range(depth):
        made = {"f:a": made}
    return made


def untimed() -> dict[str, Any]:
    """What a Scale leaves of an updater that had the replicas."""
    return {k: v for k, v in an_entry(fieldsV1=REPLICAS).items() if k != "time"}


def test_what_is_written_is_read() -> None:
    entries = [an_entry(manager="z", operation="Apply"), an_entry(), an_entry(subresource="status")]
    assert write(read(reversed(entries))) == entries, "appliers first, whatever their names"


@pytest.mark.parametrize(
    "entry",
    [
        an_entry(operation="Bogus"),
        an_entry(fieldsType="FieldsV2"),
        an_entry(fieldsType=""),
        an_entry(apiVersion=""),
        an_entry(fieldsV1={"data": {}}),
        an_entry(fieldsV1={"f:data": "x"}),
        an_entry(fieldsV1={"k:name": {}}),
        an_entry(fieldsV1={'k:"name"': {}}),
        an_entry(fieldsV1={'k:{"name":[]}': {}}),
        an_entry(fieldsV1={"v:{}": {}}),
        an_entry(fieldsV1={"i:x": {}}),
        an_entry(fieldsV1={"v:" + "x" * (KEPT_KEY_LENGTH_MAX + 1): {}}),
        an_entry(fieldsV1=nested(FIELDS_DEPTH_MAX)),
    ],
)
def test_what_cannot_be_read(entry: dict[str, Any]) -> None:
    with pytest.raises(BadManagedFields):
        read([entry])


def test_the_deepest_sets_that_are_read_are_written() -> None:
    entries = [an_entry(fieldsV1=nested(FIELDS_DEPTH_MAX - 1))]
    assert write(read(entries)) == entries


def test_long_keys_are_read_and_not_remembered() -> None:
    before = table._is_known_item.cache_info().currsize
    read([an_entry(fieldsV1={f'v:"{n}{"x" * KEPT_KEY_LENGTH_MAX}"': {} for n in range(3)})])
    assert table._is_known_item.cache_info().currsize == before


@pytest.mark.parametrize(("value", "reset"), [([{}], True), ([], False), (None, False)])
def test_a_reset(value: Any, reset: bool) -> None:
    assert is_reset(value) is reset


def test_the_oldest_updaters_become_one() -> None:
    managers = {
        ManagerKey.of(f"u{n:02}", "Update", "v1", ""): Entry({f"f:{n:02}": {}}, "v1", f"t{n:02}")
        for n in range(UPDATERS_MAX + 2)
    }
    applier = ManagerKey.of("a", "Apply", "v1", "")
    managers[applier] = Entry({"f:x": {}}, "v1", "t00")
    found = capped(managers)
    assert len(found) == UPDATERS_MAX + 1
    assert applier in found
    old = found[ManagerKey(OLD_UPDATERS, "Update", "v1", "")]
    assert old == Entry({"f:00": {}, "f:01": {}, "f:02": {}}, "v1", "t02")
    assert capped(found) == found


def test_the_oldest_of_each_version_become_one() -> None:
    names = [("u00", "v1"), ("u01", "v2"), ("u02", "v1")]
    names += [(f"u{n:02}", "v1") for n in range(3, UPDATERS_MAX + 1)]
    managers = {
        ManagerKey.of(name, "Update", version, ""): Entry({f"f:{name}": {}}, version, name)
        for name, version in names
    }
    found = {(key.name, key.api_version): entry for key, entry in capped(managers).items()}
    assert len(found) == UPDATERS_MAX
    assert found[OLD_UPDATERS, "v1"] == Entry({"f:u00": {}, "f:u02": {}}, "v1", "u02")
    assert ("u01", "v2") in found, "alone of its version: as it was"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            [an_entry(fieldsV1=BOTH)],
            [untimed(), an_entry(fieldsV1={"f:spec": {"f:paused": {}}})],
            id="an-updater-has-two-entries",
        ),
        pytest.param([an_entry(fieldsV1=REPLICAS)], [untimed()], id="or-one-without-a-time"),
        pytest.param(
            [an_entry(operation="Apply", fieldsV1=BOTH)],
            [an_entry(operation="Apply", fieldsV1=BOTH)],
            id="an-applier-keeps-its-own",
        ),
        pytest.param([an_entry()], [an_entry()], id="others-are-not-touched"),
        pytest.param(
            [untimed(), an_entry(fieldsV1={"f:spec": {"f:paused": {}}})],
            [an_entry(fieldsV1={"f:spec": {"f:paused": {}}})],
            id="the-second-time-nobody-has-the-replicas",
        ),
    ],
)
def test_managers_after_a_scale(before: list[Any], after: list[Any]) -> None:
    assert through_scale(read(before), REPLICAS) == after
