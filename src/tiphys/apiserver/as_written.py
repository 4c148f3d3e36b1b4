"""Errors that quote an object as it was written, with the empty lists and maps that it had.

An object in its kind's form has lost them, as it will be stored. Upstream loses them only when it
writes the object, so its validation still quotes them.
"""

from collections.abc import Callable
from typing import Any, Final

from tiphys.api.field_errors import FieldError
from tiphys.api.meta import Obj

# Label selectors have one form in all versions: it leaves empty lists out wherever it is shown.
_SELECTOR: Final = ("selector", "Selector")


def quoted_as_written(
    errors: list[FieldError], validate: Callable[[Obj], list[FieldError]], obj: Obj, given: Obj
) -> list[FieldError]:
    """The same errors with their values as in what was given; the object is not changed.

    validate gave the errors for obj. Where it finds something else in what was given, the errors
    stay as they are: what is wrong is decided by the kind's form.
    """
    if not errors:
        return errors
    written = _with_empty(obj, given)
    if written is obj:
        return errors
    found = validate(written)
    return found if _places(found) == _places(errors) else errors


def _places(errors: list[FieldError]) -> list[tuple[str, str]]:
    return [(e.kind, e.path) for e in errors]


def _with_empty(value: Any, given: Any, name: str = "") -> Any:
    """The value itself when nothing is to be added."""
    if name.endswith(_SELECTOR):
        return value
    if isinstance(value, dict) and isinstance(given, dict):
        changed = {k: v for k, v in given.items() if v in ([], {}) and value.get(k) is None}
        for key, item in value.items():
            made = _with_empty(item, given.get(key), key)
            if made is not item:
                changed[key] = made
        return value | changed if changed else value
    if isinstance(value, list) and isinstance(given, list) and len(value) == len(given):
        items = [_with_empty(v, g) for v, g in zip(value, given, strict=True)]
        same = all(made is item for made, item in zip(items, value, strict=True))
        return value if same else items
    return value
