"""Why an applied object does not fit the schema, in upstream's words.

Upstream: structured-merge-diff typed/validate.go, typed/helpers.go.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from tiphys.codec.fields import go_value
from tiphys.codec.fields.field_set import path_text
from tiphys.codec.fields.shape import Shape, StructShape, Whole

# Upstream tells of all; here each tells its whole path, so that a message could be a thousand
# times as long as the object.
UNFIT_MAX: Final = 100
UNFIT_CHARS_MAX: Final = 65_536  # After as many no other is told.


def why_unfit(shape: Shape, value: Any) -> str:
    """`.spec.x: field not declared in schema`, several below each other, or an empty text.

    Raises RecursionError for a value that is nested too deeply.
    """
    found: list[str] = []
    room = UNFIT_CHARS_MAX
    for text in islice(_unfit(shape, value, ()), UNFIT_MAX):
        found.append(text)
        room -= len(text)
        if room <= 0:
            break
    if len(found) > 1:
        return "\n  ".join(["errors:", *found])
    return found[0] if found else ""


def _unfit(shape: Shape, value: Any, above: tuple[str, ...]) -> Iterator[str]:
    if value is None:
        return
    if shape.is_leaf(value):
        yield from _unfit_leaf(shape, value, above)
    elif shape.is_list(value):
        yield from _unfit_items(shape, value, above)
    elif not isinstance(value, dict):
        yield _told(above, f"expected map, got {go_value.printed(value)}")
    else:
        yield from _unfit_fields(shape, value, above)


def _unfit_leaf(shape: Shape, value: Any, above: tuple[str, ...]) -> Iterator[str]:
    why = shape.unfit(value)
    if why:
        yield _told(above, why)
    elif isinstance(shape, Whole) and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unfit(shape.within, item, (*above, f"i:{index}"))
    elif isinstance(shape, Whole):
        yield from _unfit(shape.within, value, above)


def _told(path: tuple[str, ...], why: str) -> str:
    return f"{path_text(path)}: {why}" if path else why


def _unfit_fields(shape: Shape, value: dict[str, Any], above: tuple[str, ...]) -> Iterator[str]:
    """Of names that the schema does not know the first is told."""
    unknown: tuple[str, ...] = ()
    for name, inner in value.items():
        path = (*above, f"f:{name}")
        if isinstance(shape, StructShape) and not shape.has_field(name):
            if above or name not in ("apiVersion", "kind"):
                unknown = unknown or path
            continue
        yield from _unfit(shape.child(name), inner, path)
    if unknown:
        yield _told(unknown, "field not declared in schema")


def _unfit_items(shape: Shape, value: Any, above: tuple[str, ...]) -> Iterator[str]:
    if not isinstance(value, list):
        yield _told(above, f"expected list, got {go_value.printed(value)}")
        return
    seen = set()
    for index, item in enumerate(value):
        try:
            key = shape.item_key(item)
        except ValueError as exc:
            yield _told(above, f"element {index}: {exc}")
            return
        if key in seen:
            yield _told(above, f"duplicate entries for key {path_text((key,))}")
        seen.add(key)
        yield from _unfit(shape.element, item, (*above, key))
