"""Fields that a schema does not know are taken out of an object, in place.

Upstream: apiextensions-apiserver pkg/apiserver/schema/pruning/algorithm.go.
"""

from typing import Any, Final

from tiphys.api.meta import Obj

EMBEDDED: Final = "x-kubernetes-embedded-resource"
PRESERVES: Final = "x-kubernetes-preserve-unknown-fields"
_OF_RESOURCES: Final = frozenset({"apiVersion", "kind", "metadata"})


def prune(obj: Obj, schema: Obj) -> list[str]:
    """The paths of what was taken out, sorted. `schema` is an object's: its root."""
    found: list[str] = []
    _prune(obj, schema, "", found, is_resource=True)
    return sorted(found)


def _prune(value: Any, schema: Obj, path: str, found: list[str], *, is_resource: bool) -> None:
    if isinstance(value, dict):
        _prune_map(value, schema, path, found, is_resource=is_resource)
    elif isinstance(value, list):
        items = schema.get("items")
        if not isinstance(items, dict):
            # Only where unknown fields are kept are there items that no schema tells of.
            items = {PRESERVES: True} if schema.get(PRESERVES) else {}
        for index, item in enumerate(value):
            _prune(item, items, f"{path}[{index}]", found, is_resource=bool(items.get(EMBEDDED)))


def _prune_map(value: Obj, schema: Obj, path: str, found: list[str], *, is_resource: bool) -> None:
    properties = schema.get("properties") or {}
    others = schema.get("additionalProperties")
    keeps = bool(schema.get(PRESERVES))
    for key in list(value):
        if is_resource and key in _OF_RESOURCES:
            continue
        inner = properties.get(key)
        if inner is None and isinstance(others, dict):
            inner = others
        where = f"{path}.{key}" if path else key
        if inner is not None:
            _prune(value[key], inner, where, found, is_resource=bool(inner.get(EMBEDDED)))
        elif others is not True and not keeps:
            found.append(where)
            del value[key]
