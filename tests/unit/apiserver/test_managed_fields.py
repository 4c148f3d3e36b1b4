"""`metadata.managedFields` as a table of managers, and back."""

from typing import Any

import pytest

from tiphys.apiserver.field_manager.entries import (
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
    ],
)
def test_what_cannot_be_read(entry: dict[str, Any]) -> None:
    with pytest.raises(BadManagedFields):
        read([entry])


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
