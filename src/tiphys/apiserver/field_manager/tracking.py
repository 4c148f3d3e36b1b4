"""What a write leaves of each manager's fields.

Upstream: structured-merge-diff merge/update.go; apimachinery pkg/util/managedfields/internal
(structuredmerge.go, managedfieldsupdater.go, stripmeta.go, skipnonapplied.go).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from tiphys.api.errors import Conflict, StatusCause
from tiphys.api.meta import Obj
from tiphys.apiserver.field_manager.entries import Entry, ManagerKey, Managers
from tiphys.codec.fields.compare import (
    Comparison,
    compare,
    field_set,
    fields_of_new,
)
from tiphys.codec.fields.field_set import (
    FieldSet,
    difference,
    difference_below,
    intersection,
    members,
    path_text,
    union,
)
from tiphys.codec.fields.merge import merge, remove, with_named_fields, with_wholes
from tiphys.codec.fields.shape import Shape

# Nobody's fields: they name the object, or are the server's. Source: internal/stripmeta.go.
_STRIPPED: Final[FieldSet] = {
    "f:apiVersion": {},
    "f:kind": {},
    "f:metadata": {
        "f:clusterName": {},
        "f:creationTimestamp": {},
        "f:generation": {},
        "f:managedFields": {},
        "f:name": {},
        "f:namespace": {},
        "f:resourceVersion": {},
        "f:selfLink": {},
        "f:uid": {},
    },
}
_STRIPPED_ITSELF: Final[FieldSet] = {"f:metadata": {}}
BEFORE_FIRST_APPLY: Final = "before-first-apply"


@dataclass(frozen=True, slots=True)
class Scope:
    """Of one endpoint's writes. `ignored`: what the strategy takes out of what is written.

    `varies`: the schema may have been another when fields were noted.
    """

    shape: Shape
    zero: Mapping[str, Any]
    ignored: FieldSet | None = None
    varies: bool = False


def created(scope: Scope, new: Obj) -> FieldSet | None:
    """The fields of a new object. Raises ValueError for lists that cannot be compared."""
    found = fields_of_new(scope.shape, _bare(scope.zero), _bare(new))
    return difference_below(found, scope.ignored) if scope.ignored else found


def updated(
    scope: Scope, live: Mapping[str, Any], new: Obj, managers: Managers, key: ManagerKey,
    version: str, now: str,
) -> Managers:  # fmt: skip
    """After any write that is no apply. Raises ValueError for lists that cannot be compared."""
    change = _filtered(compare(scope.shape, _bare(live), _bare(new)), scope.ignored)
    if change.is_same:
        return managers
    taken = union(change.added, change.modified)
    left = _without(_as_now(scope, managers), taken, change.removed)
    if taken is None:
        return left
    before = left.get(key)
    fields = union(taken, before.fields if before else None)
    assert fields is not None
    return left | {key: Entry(fields, version, now)}


def _as_now(scope: Scope, managers: Managers) -> Managers:
    if not scope.varies:
        return managers
    return {
        key: replace(entry, fields=with_wholes(scope.shape, entry.fields))
        for key, entry in managers.items()
    }


def _bare(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is nobody's: two thirds of the metadata need not be compared."""
    made = {k: v for k, v in obj.items() if k not in ("apiVersion", "kind")}
    own = _STRIPPED["f:metadata"]
    metadata = {k: v for k, v in (made.get("metadata") or {}).items() if f"f:{k}" not in own}
    made["metadata"] = metadata
    return made


def _filtered(change: Comparison, ignored: FieldSet | None) -> Comparison:
    if ignored is None:
        return change
    return Comparison(*(difference_below(part, ignored) for part in change))


def _without(managers: Managers, taken: FieldSet | None, removed: FieldSet | None) -> Managers:
    """Others lose what somebody else has set, and everybody what is gone."""
    gone = union(taken, removed)
    made: Managers = {}
    for key, entry in managers.items():
        fields = difference(entry.fields, gone)
        if fields is not None:
            made[key] = entry if fields == entry.fields else replace(entry, fields=fields)
    return made


@dataclass(frozen=True, slots=True)
class Applied:
    """`obj` is None when nothing has changed but, perhaps, who has which field."""

    obj: Obj | None
    managers: Managers


def applied(
    scope: Scope, live: Obj, config: Obj, managers: Managers, key: ManagerKey,
    version: str, now: str, *, force: bool, allowed: FieldSet | None = None,
) -> Applied:  # fmt: skip
    """After an apply. `allowed`: fields that may be taken from others without force.

    Raises Conflict, and ValueError for lists whose items cannot be told apart.
    """
    managers = _as_now(scope, managers)
    bare_live, bare_config = _bare(live), _bare(config)
    merged = merge(scope.shape, bare_live, bare_config)
    fields = difference_below(field_set(scope.shape, bare_config), scope.ignored)
    fields = _without_metadata_itself(fields)
    last = managers.get(key)
    after = {k: v for k, v in managers.items() if k != key}
    if fields is not None:
        after[key] = Entry(fields, version, last.time if last else "")
    if last is not None and last.fields != fields:  # Else nothing is applied no more.
        merged = _pruned(scope.shape, merged, after, last)
    change = _filtered(compare(scope.shape, bare_live, merged), scope.ignored)
    after = _resolved(after, key, change, force=force, allowed=allowed)
    same = bare_live == merged  # In another order they are not.
    owned_as_before = _fields_of(after) == _fields_of(managers)
    if same and owned_as_before:
        return Applied(None, managers)
    if key in after and not same:
        after[key] = replace(after[key], time=now)
    obj = {k: v for k, v in live.items() if k in ("apiVersion", "kind")} | merged
    named = _stripped_of(config) | _stripped_of(live)
    obj["metadata"] = named | (merged.get("metadata") or {})
    return Applied(obj, after)


def _fields_of(managers: Managers) -> dict[ManagerKey, tuple[FieldSet, str]]:
    return {key: (entry.fields, entry.api_version) for key, entry in managers.items()}


def _stripped_of(obj: Obj) -> Obj:
    own = _STRIPPED["f:metadata"]
    return {k: v for k, v in (obj.get("metadata") or {}).items() if f"f:{k}" in own}


def _without_metadata_itself(fields: FieldSet | None) -> FieldSet | None:
    """An empty `metadata` is nobody's either."""
    return difference(fields, _STRIPPED_ITSELF)


def _resolved(
    managers: Managers, key: ManagerKey, change: Comparison, *, force: bool,
    allowed: FieldSet | None,
) -> Managers:  # fmt: skip
    """Raises Conflict."""
    taken = union(change.added, change.modified)
    conflicts = {
        other: found
        for other, entry in managers.items()
        if other != key and (found := intersection(entry.fields, taken)) is not None
    }
    if not force:
        left = {k: f for k, v in conflicts.items() if (f := difference(v, allowed)) is not None}
        if left:
            raise _conflict(left, managers)
    made: Managers = {}
    for other, entry in managers.items():
        fields: FieldSet | None = entry.fields
        if other != key:
            fields = difference(difference(fields, conflicts.get(other)), change.removed)
        if fields is not None:
            made[other] = entry if fields == entry.fields else replace(entry, fields=fields)
    return made


def _pruned(shape: Shape, merged: Any, managers: Managers, last: Entry) -> Any:
    """Without what the applier had set before and nobody sets now."""
    pruned = remove(shape, merged, with_named_fields(shape, last.fields))
    owned: FieldSet | None = None
    for entry in managers.values():
        owned = union(owned, entry.fields)
    pruned = _with_owned(shape, merged, pruned, owned)
    return _with_dangling(shape, merged, pruned, last.fields)


def _with_owned(shape: Shape, merged: Any, pruned: Any, owned: FieldSet | None) -> Any:
    """What somebody owns comes back."""
    kept = union(_named(shape, field_set(shape, pruned)), _named(shape, owned))
    return remove(shape, merged, difference(_named(shape, field_set(shape, merged)), kept))


def _with_dangling(shape: Shape, merged: Any, pruned: Any, last: FieldSet) -> Any:
    """What nobody owned comes back too: only the applier's own fields go with it."""
    gone = difference(
        _named(shape, field_set(shape, merged)), _named(shape, field_set(shape, pruned))
    )
    return remove(shape, merged, intersection(gone, _named(shape, last)))


def _named(shape: Shape, fields: FieldSet | None) -> FieldSet | None:
    return None if fields is None else with_named_fields(shape, fields)


def _conflict(conflicts: Mapping[ManagerKey, FieldSet], managers: Managers) -> Conflict:
    """Upstream: internal/conflict.go."""
    causes = []
    lines = []
    for key in sorted(conflicts):
        who = _shown(key, managers[key])
        paths = [path_text(path) for path in members(conflicts[key])]
        causes += [StatusCause("FieldManagerConflict", f"conflict with {who}", p) for p in paths]
        lines += [f"conflicts with {who}:", *(f"- {path}" for path in paths)]
    told = f"{len(causes)} conflicts: " + "\n".join(lines)
    if len(causes) == 1:
        told = f"1 conflict: {causes[0].message}: {causes[0].field}"
    return Conflict(f"Apply failed with {told}", causes=causes, details={})


def _shown(key: ManagerKey, entry: Entry) -> str:
    text = f'"{key.name}"'
    if key.subresource:
        text += f' with subresource "{key.subresource}"'
    if key.operation == "Update":
        text += f" using {entry.api_version}"
    return text
