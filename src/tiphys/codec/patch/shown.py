"""A patched object as text, in the order in which upstream's patch library leaves it.

The library reads only what the patch reaches: those objects are written with their fields sorted,
all others as they stood, in the order of Go's structs.
Upstream: gopkg.in/evanphx/json-patch (partialDoc), which errors about patched objects quote.
"""

from typing import Any

import orjson

from tiphys.api.go_form import api_form
from tiphys.api.meta import Obj
from tiphys.api.schema import SCHEMA, Field

Reached = dict[str, Any]
"""The names of the fields that a patch goes through, each with what it reaches below."""


def reached_by_merge(patch: Any) -> Reached:
    """Of a merge patch."""
    return {k: reached_by_merge(v) for k, v in patch.items() if isinstance(v, dict)}


def reached_by_operations(operations: list[Any]) -> Reached:
    """Of a JSON patch: each path, down to what holds its last step."""
    found: Reached = {}
    for operation in operations:
        for name in ("path", "from"):
            steps = str(operation.get(name) or "").split("/")[1:-1]
            below = found
            for step in steps:
                below = below.setdefault(step.replace("~1", "/").replace("~0", "~"), {})
    return found


def shown(patched: Obj, type_name: str, reached: Reached) -> str:
    """JSON. Raises orjson.JSONEncodeError for what is too deep."""
    return orjson.dumps(_sorted(patched, type_name, reached)).decode()


def _sorted(value: Obj, type_name: str, reached: Reached) -> Obj:
    fields = SCHEMA.types[type_name].fields if type_name in SCHEMA.types else {}
    return {k: _part(value[k], fields.get(k), reached.get(k)) for k in sorted(value)}


def _part(value: Any, field: Field | None, reached: Reached | None) -> Any:
    ref = field.ref if field is not None else ""
    if isinstance(value, list):
        return [_item(v, ref, (reached or {}).get(str(i))) for i, v in enumerate(value)]
    if field is not None and field.container == "map" and isinstance(value, dict):
        return {k: _item(v, ref, (reached or {}).get(k)) for k, v in sorted(value.items())}
    return _item(value, ref, reached)


def _item(value: Any, ref: str, reached: Reached | None) -> Any:
    if not isinstance(value, dict):
        return value
    if reached is not None:
        return _sorted(value, ref, reached)
    return api_form(value, ref) if ref else value
