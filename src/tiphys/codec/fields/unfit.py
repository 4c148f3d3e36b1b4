"""Why an applied object does not fit the schema, in upstream's words.

Upstream: structured-merge-diff typed/validate.go.
"""

from typing import Any

from tiphys.codec.fields.field_set import path_text
from tiphys.codec.fields.shape import Shape, StructShape


def why_unfit(shape: Shape, value: Any, above: tuple[str, ...] = ()) -> str:
    """`.spec.x: field not declared in schema`, or an empty text."""
    if value is None or shape.is_leaf(value):
        return ""
    if shape.is_list(value):
        return _why_list(shape, value, above)
    if not isinstance(value, dict):
        return f"{path_text(above) or '.'}: expected map, got {value!r}"
    for name, inner in value.items():
        path = (*above, f"f:{name}")
        if isinstance(shape, StructShape) and not shape.has_field(name):
            if above or name not in ("apiVersion", "kind"):
                return f"{path_text(path)}: field not declared in schema"
            continue
        if why := why_unfit(shape.child(name), inner, path):
            return why
    return ""


def _why_list(shape: Shape, value: Any, above: tuple[str, ...]) -> str:
    if not isinstance(value, list):
        return f"{path_text(above)}: expected list, got {value!r}"
    seen = set()
    for index, item in enumerate(value):
        try:
            key = shape.item_key(item)
        except ValueError as exc:
            return f"{path_text(above)}: element {index}: {exc}"
        if key in seen:
            return f"{path_text(above)}: duplicate entries for key {path_text((key,))}"
        seen.add(key)
        if why := why_unfit(shape.element, item, (*above, key)):
            return why
    return ""
