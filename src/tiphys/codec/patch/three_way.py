"""The patch that `kubectl apply` sends: from what was applied before, what is wanted and what is.

Fields that were applied and are wanted no more are removed; fields that are wanted and differ are
set; fields that somebody else added stay. Lists with a merge key are merged by element.
Upstream: apimachinery util/strategicpatch CreateThreeWayMergePatch, util/jsonmergepatch.
"""

from typing import Any

from tiphys.api.meta import Obj
from tiphys.api.schema import SCHEMA, Field


def three_way(before: Obj, wanted: Obj, current: Obj, type_name: str = "") -> Obj:
    """A strategic merge patch for a schema type, a JSON merge patch without one. {} = no change."""
    return _maps(before, wanted, current, type_name)


def _maps(before: Obj, wanted: Obj, current: Obj, type_name: str) -> Obj:
    patch: Obj = {}
    for name, value in wanted.items():
        field = _field(type_name, name)
        if name not in current or current[name] is None:
            if value is not None:
                patch[name] = value
            continue
        found = _values(before.get(name), value, current[name], field)
        if found is not _SAME:
            patch[name] = found
    for name in before:
        if name not in wanted and name in current:
            patch[name] = None
    return patch


class _Same:
    """Nothing to change."""


_SAME = _Same()


def _values(before: Any, wanted: Any, current: Any, field: Field | None) -> Any:
    if isinstance(wanted, dict) and isinstance(current, dict):
        inner = _inner_type(field)
        found = _maps(before if isinstance(before, dict) else {}, wanted, current, inner)
        return found or _SAME
    if isinstance(wanted, list) and isinstance(current, list):
        key = field.patch_merge_key if field is not None else ""
        if key and all(isinstance(i, dict) and key in i for i in (*wanted, *current)):
            assert field is not None
            olds = before if isinstance(before, list) else []
            return _lists(olds, wanted, current, key, _inner_type(field))
    return _SAME if wanted == current else wanted


def _lists(
    before: list[Any], wanted: list[Any], current: list[Any], key: str, type_name: str
) -> Any:
    """Elements by merge key: changed or new ones, and deletions of what was applied before."""
    by_key = {item[key]: item for item in current}
    olds = {item[key]: item for item in before if isinstance(item, dict) and key in item}
    changes: list[Obj] = []
    for item in wanted:
        have = by_key.get(item[key])
        if have is None:
            changes.append(item)
            continue
        found = _maps(olds.get(item[key], {}), item, have, type_name)
        if found:
            changes.append({**found, key: item[key]})
    names = {item[key] for item in wanted}
    changes += [{"$patch": "delete", key: k} for k in olds if k not in names and k in by_key]
    return changes or _SAME


def _field(type_name: str, name: str) -> Field | None:
    found = SCHEMA.types.get(type_name) if type_name else None
    return found.fields.get(name) if found is not None else None


def _inner_type(field: Field | None) -> str:
    return field.ref if field is not None and field.ref else ""
