"""Field errors: what validation returns, all at once. Upstream: util/validation/field/errors.go."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from tiphys.api.errors import Invalid, StatusCause

# Upstream's ErrorType on the wire -> the words its message starts with.
_WORDS: Final = {
    "FieldValueNotFound": "Not found",
    "FieldValueRequired": "Required value",
    "FieldValueDuplicate": "Duplicate value",
    "FieldValueInvalid": "Invalid value",
    "FieldValueNotSupported": "Unsupported value",
    "FieldValueForbidden": "Forbidden",
    "FieldValueTooLong": "Too long",
    "FieldValueTooMany": "Too many",
    "FieldValueTypeInvalid": "Invalid value",
    "InternalError": "Internal error",
}
_WITHOUT_VALUE: Final = frozenset(
    {"FieldValueRequired", "FieldValueForbidden", "FieldValueTooLong", "InternalError"}
)


OMITTED: Final = object()
"""A value that is not shown."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One finding: kind (upstream's wire word), path (`spec.containers[0].name`), value, detail."""

    kind: str
    path: str
    value: Any = None
    detail: str = ""

    def text(self) -> str:
        """Without the path: `Invalid value: "x": must be ...`."""
        words = _WORDS[self.kind]
        if self.value is OMITTED:
            pass
        elif self.kind not in _WITHOUT_VALUE and self.kind != "FieldValueTooMany":
            words += f": {_shown(self.value)}"
        elif self.kind == "FieldValueTooMany" and self.value is not None:
            words += f": {self.value}"
        return f"{words}: {self.detail}" if self.detail else words

    def __str__(self) -> str:
        return f"{self.path}: {self.text()}"


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return go_quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, (dict, list)):
        return go_escaped(orjson.dumps(value).decode())
    return str(value)


_SHORT_ESCAPES: Final = {"\a": "\\a", "\v": "\\v", "\b": "\\b", "\f": "\\f"}


def go_quoted(text: str) -> str:
    """A text as Go's %q shows it."""
    quoted = orjson.dumps(text).decode()
    if text.isprintable():
        return quoted
    return "".join(map(_go_character, text)).join('""')


def _go_character(char: str) -> str:
    if char in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[char]
    if char.isprintable() or char in "\n\r\t":
        return orjson.dumps(char).decode()[1:-1]
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


# Go's encoder keeps its output safe inside HTML and JavaScript.
_ESCAPES: Final = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)


def go_escaped(text: str) -> str:
    """JSON as Go's encoding/json writes it."""
    return text.translate(_ESCAPES)


def required(path: str, detail: str = "") -> FieldError:
    return FieldError("FieldValueRequired", path, None, detail)


def invalid(path: str, value: Any, detail: str) -> FieldError:
    return FieldError("FieldValueInvalid", path, value, detail)


def forbidden(path: str, detail: str) -> FieldError:
    return FieldError("FieldValueForbidden", path, None, detail)


def duplicate(path: str, value: Any) -> FieldError:
    return FieldError("FieldValueDuplicate", path, value)


def not_found(path: str, value: Any) -> FieldError:
    return FieldError("FieldValueNotFound", path, value)


def not_supported(path: str, value: Any, valid: Sequence[str]) -> FieldError:
    quoted = ", ".join(f'"{v}"' for v in sorted(valid))
    return FieldError(
        "FieldValueNotSupported", path, value, f"supported values: {quoted}" if valid else ""
    )


def too_long(path: str, bytes_max: int) -> FieldError:
    unit = "byte" if bytes_max == 1 else "bytes"
    return FieldError("FieldValueTooLong", path, None, f"may not be more than {bytes_max} {unit}")


def too_many(path: str, count: int, count_max: int) -> FieldError:
    unit = "item" if count_max == 1 else "items"
    return FieldError("FieldValueTooMany", path, count, f"must have at most {count_max} {unit}")


def invalid_object(group: str, kind: str, name: str, errors: Sequence[FieldError]) -> Invalid:
    """The 422 of an object: `Pod "x" is invalid: [a, b]`, one cause per error.

    Source: apimachinery pkg/api/errors NewInvalid, util/errors Aggregate (equal texts once).
    """
    qualified = f"{kind}.{group}" if group else kind
    texts = list(dict.fromkeys(str(e) for e in errors))
    joined = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    parts = {"name": name, "group": group, "kind": kind}
    details = {key: value for key, value in parts.items() if value}
    return Invalid(
        f"{qualified} {go_quoted(name)} is invalid: {joined}"
        if texts
        else f"{qualified} {go_quoted(name)} is invalid",
        details=details,
        causes=[StatusCause(e.kind, e.text(), e.path) for e in errors],
    )
