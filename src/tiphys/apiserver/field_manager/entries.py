"""`metadata.managedFields` as a table of managers, and back.

Upstream: apimachinery pkg/util/managedfields/internal/managedfields.go, buildmanagerinfo.go.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple, cast

import orjson

from tiphys.api.meta import Obj
from tiphys.codec.fields.field_set import SELF, FieldSet, in_order, union

Operation = Literal["Apply", "Update"]
OPERATIONS: Final = ("Apply", "Update")
_ITEM_KINDS: Final = ("k:", "v:", "i:")
_SCALARS: Final = (str, int, float)
_OF_KEYS: Final = (*_SCALARS, type(None))
FIELDS_TYPE: Final = "FieldsV1"
# What works on sets calls itself up to three times a level, of the thousand that Python allows.
FIELDS_DEPTH_MAX: Final = 250
KEPT_KEY_LENGTH_MAX: Final = 256  # Who writes such keys has few of them; longer ones fill memory.
UPDATERS_MAX: Final = 10  # Upstream internal/capmanagers.go, DefaultMaxUpdateManagers.
OLD_UPDATERS: Final = "ancient-changes"


class ManagerKey(NamedTuple):
    """Who: an applier is the same whatever version it speaks, so its own is left empty."""

    name: str
    operation: Operation
    api_version: str
    subresource: str

    @classmethod
    def of(
        cls, name: str, operation: Operation, api_version: str, subresource: str
    ) -> "ManagerKey":
        version = "" if operation == "Apply" else api_version
        return cls(name, operation, version, subresource)


@dataclass(frozen=True, slots=True)
class Entry:
    fields: FieldSet
    api_version: str
    time: str


Managers = dict[ManagerKey, Entry]


class BadManagedFields(ValueError):
    """An entry that cannot be read; says why."""


def read(entries: Iterable[Any]) -> Managers:
    """Raises BadManagedFields."""
    found: Managers = {}
    for entry in entries:
        operation = entry.get("operation")
        if operation not in OPERATIONS:
            raise BadManagedFields(f'invalid operation "{operation}"')
        if not entry.get("apiVersion"):
            raise BadManagedFields("apiVersion must not be empty")
        if (kind := entry.get("fieldsType", "")) != FIELDS_TYPE:
            raise BadManagedFields(f'unsupported fieldsType "{kind}"')
        fields = entry.get("fieldsV1")
        if not isinstance(fields, dict) or not fields:
            continue
        _check(fields, FIELDS_DEPTH_MAX)
        version = entry.get("apiVersion", "")
        key = ManagerKey.of(
            entry.get("manager", ""),
            cast(Operation, operation),
            version,
            entry.get("subresource", ""),
        )
        found[key] = Entry(fields, version, entry.get("time", ""))
    return found


def _check(fields: FieldSet, depth_left: int) -> None:
    """Raises BadManagedFields for a key that is none, and for sets below too many others."""
    if depth_left == 0:
        raise BadManagedFields(f"fields are nested more than {FIELDS_DEPTH_MAX} deep")
    for key, inner in fields.items():
        if key[:2] != "f:" and key != SELF and not _is_item(key):
            raise BadManagedFields(f'unknown field key "{key}"')
        if not isinstance(inner, dict):
            raise BadManagedFields(f'field key "{key}" leads to no set')
        _check(inner, depth_left - 1)


def _is_item(key: str) -> bool:
    """Whether it names an item of a list: by its keys, its value or its place."""
    return _is_known_item(key) if len(key) <= KEPT_KEY_LENGTH_MAX else _names_item(key)


def _names_item(key: str) -> bool:
    kind, text = key[:2], key[2:]
    if kind not in _ITEM_KINDS:
        return False
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    if kind == "k:":
        return isinstance(found, dict) and all(isinstance(v, _OF_KEYS) for v in found.values())
    return isinstance(found, _SCALARS if kind == "v:" else int)


_is_known_item = lru_cache(maxsize=1024)(_names_item)


def is_reset(entries: Any) -> bool:
    """`[{}]`: whoever writes it wants to begin anew."""
    return isinstance(entries, list) and len(entries) == 1 and entries[0] == {}


def write(managers: Managers) -> list[Obj]:
    return write_all(managers.items())


def write_all(entries: Iterable[tuple[ManagerKey, Entry]]) -> list[Obj]:
    """Appliers first, then by time, name, version and subresource."""
    order = sorted(
        entries,
        key=lambda i: (
            i[0].operation, i[1].time, i[0].name, i[1].api_version, i[0].subresource,
        ),
    )  # fmt: skip
    return [written(k, e.api_version, e.time, in_order(e.fields)) for k, e in order]


def written(key: ManagerKey, api_version: str, time: str, fields: FieldSet) -> Obj:
    """One entry; fields are in order already."""
    made: Obj = {"manager": key.name, "operation": key.operation, "apiVersion": api_version}
    if time:
        made["time"] = time
    made["fieldsType"] = FIELDS_TYPE
    made["fieldsV1"] = fields
    if key.subresource:
        made["subresource"] = key.subresource
    return made


def capped(managers: Managers) -> Managers:
    """The oldest updaters are put together as one when they are too many."""
    updaters = [(k, e) for k, e in managers.items() if k.operation == "Update"]
    surplus = len(updaters) - UPDATERS_MAX
    if surplus <= 0:
        return managers
    updaters.sort(key=lambda i: (i[1].time, i[0].name))
    made = dict(managers)
    first: dict[str, ManagerKey] = {}  # Of each version: with the next it becomes a bucket.
    for key, entry in updaters:
        if surplus <= 0:
            break
        oldest = first.setdefault(key.api_version, key)
        if oldest == key:
            continue
        bucket = ManagerKey(OLD_UPDATERS, "Update", key.api_version, "")
        if bucket not in made:
            made[bucket] = made.pop(oldest)
        if bucket == key:
            continue
        fields = union(made[bucket].fields, entry.fields)
        assert fields is not None
        made[bucket] = Entry(fields, key.api_version, entry.time)
        del made[key]
        surplus -= 1
    return made
