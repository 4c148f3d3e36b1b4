"""JSON bodies: bytes to objects and back, and what strict field validation finds.

Upstream: sigs.k8s.io/json (strict decoding), apimachinery pkg/runtime/serializer/json.
"""

import json
import re
from typing import Any, Final

import orjson

from tiphys.api.meta import Obj
from tiphys.api.schema import SCHEMA, Field
from tiphys.codec.json_syntax import syntax_error
from tiphys.codec.typed import DecodeError

STRICT_ERRORS_MAX: Final = 100  # sigs.k8s.io/json reports no more.
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_SPACED_COLON: Final = re.compile(rb'"[ \t\r\n]+:')
_AS_NUMBERS: Final = (b"\\u0022", b"\\u003a", b"\\u003A")  # A quote, a colon.
_PROPS: Final = "apiextensions.v1.JSONSchemaProps"
_ROOT_FIELDS: Final = frozenset({"apiVersion", "kind"})


def decode(data: bytes) -> Obj:
    """The object of a body. Raises DecodeError with Go's text, also for what is no object."""
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        found = _decode_leniently(data)
    if not isinstance(found, dict):
        raise DecodeError(f"json: cannot unmarshal {_kind(found)} into Go value of type map")
    return found


def _decode_leniently(data: bytes) -> Any:
    """What orjson refuses but Go reads: wrong UTF-8, lone surrogates."""
    text = data.decode("utf-8", "replace")
    try:
        found = json.loads(text, parse_constant=_no_number)
        return orjson.loads(json.dumps(_without_surrogates(found)).encode())
    except (ValueError, RecursionError):
        raise DecodeError(syntax_error(data)) from None


def _no_number(word: str) -> Any:
    """NaN and the infinities, which Python's parser would take."""
    raise ValueError(word)


def _without_surrogates(value: Any) -> Any:
    """Lone ones, which no text can hold, become U+FFFD, as in Go."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_surrogates(v) for v in value]
    if isinstance(value, dict):
        return {_SURROGATE.sub("\ufffd", k): _without_surrogates(v) for k, v in value.items()}
    return value


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    return "array" if isinstance(value, list) else type(value).__name__.replace("str", "string")


def encode(obj: Any) -> bytes:
    """Compact JSON. Lone surrogates, which UTF-8 cannot hold, become U+FFFD as in Go."""
    try:
        return orjson.dumps(obj)
    except (TypeError, orjson.JSONEncodeError):
        return json.dumps(obj, separators=(",", ":")).encode("utf-8", "replace")


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with its keys as they were written, duplicates included."""


def strict_errors(
    obj: Obj, raw: bytes | None, type_name: str, *, is_known: bool = False
) -> list[str]:
    """`unknown field "spec.x"`, `duplicate field "spec.x"` in the order of the document.

    raw is the JSON text, or None where duplicates cannot be (YAML tells of them itself).
    is_known: no field is unknown, as who decoded it says (`typed.to_typed_knowing`).
    """
    if raw is None or not has_duplicates(obj, raw):
        if is_known:
            return []
        found: list[str] = []
        _walk_struct(obj, type_name, "", found)
        return found[:STRICT_ERRORS_MAX]
    found = []
    _walk_struct(_pairs(raw), type_name, "", found)
    return found[:STRICT_ERRORS_MAX]


def _pairs(raw: bytes) -> Any:
    def made(pairs: list[tuple[str, Any]]) -> _Pairs:
        return _Pairs((_SURROGATE.sub("\ufffd", name), value) for name, value in pairs)

    return json.loads(raw.decode("utf-8", "replace"), object_pairs_hook=made)


def duplicate_fields(obj: Obj, raw: bytes) -> list[str]:
    """`duplicate field "spec.x"` of an object without a type."""
    if not has_duplicates(obj, raw):
        return []
    found: list[str] = []
    _walk_pairs(_pairs(raw), "", found)
    return found[:STRICT_ERRORS_MAX]


def _walk_pairs(value: Any, path: str, found: list[str]) -> None:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for name, given in value:
            where = f"{path}.{name}" if path else name
            _duplicate(name, where, seen, found)
            _walk_pairs(given, where, found)
    elif isinstance(value, list):
        for index, element in enumerate(value):
            _walk_pairs(element, f"{path}[{index}]", found)


def unknown_fields(value: Obj, type_name: str, path: str) -> list[str]:
    """The paths below `path` of what a type does not know."""
    found: list[str] = []
    _walk_struct(value, type_name, path, found)
    prefix, suffix = 'unknown field "', '"'
    return [text.removeprefix(prefix).removesuffix(suffix) for text in found]


def has_duplicates(obj: Obj, raw: bytes) -> bool:
    """Whether any object of the text has a key twice; `obj` is what was read of it."""
    if _SPACED_COLON.search(raw) is None and not _may_have_lost(obj, raw):
        return False
    found = False

    def look(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal found
        made = dict(pairs)
        found = found or len(made) != len(pairs)
        return made

    try:
        json.loads(raw.decode("utf-8", "replace"), object_pairs_hook=look)
    except (ValueError, RecursionError):
        return False
    return found


def _may_have_lost(obj: Obj, raw: bytes) -> bool:
    """Whether the text has more colons behind a quote than what was read of it.

    Each key has one, and so may texts; written again, texts have as many as before, unless their
    quotes or colons were written as numbers.
    """
    if any(number in raw for number in _AS_NUMBERS):
        return True
    try:
        return raw.count(b'":') != orjson.dumps(obj).count(b'":')
    except (TypeError, orjson.JSONEncodeError):
        return True


def _items(value: Any) -> list[tuple[str, Any]] | None:
    if isinstance(value, dict):
        return list(value.items())
    return value if isinstance(value, _Pairs) else None


def _duplicate(name: str, path: str, seen: set[str], found: list[str]) -> None:
    if name in seen:
        found.append(f'duplicate field "{path}"')
    seen.add(name)


def _walk_struct(value: Any, type_name: str, path: str, found: list[str]) -> None:
    items = _items(value)
    if items is None:
        return
    definition = SCHEMA.types[type_name]
    fields = definition.fields
    seen: set[str] = set()
    for name, given in items:
        where = f"{path}.{name}" if path else name
        field = fields.get(name)
        if field is None and not (definition.is_root and name in _ROOT_FIELDS):
            found.append(f'unknown field "{where}"')
            continue
        _duplicate(name, where, seen, found)
        if field is not None:
            _walk_field(given, field, where, found)


def _walk_field(value: Any, field: Field, path: str, found: list[str]) -> None:
    if field.container == "list":
        if isinstance(value, list) and not isinstance(value, _Pairs):
            for index, element in enumerate(value):
                _walk_value(element, field, f"{path}[{index}]", found)
    elif field.container:
        seen: set[str] = set()
        for name, given in _items(value) or ():
            _duplicate(name, f"{path}.{name}", seen, found)
            _walk_value(given, field, f"{path}.{name}", found)
    else:
        _walk_value(value, field, path, found)


def _walk_value(value: Any, field: Field, path: str, found: list[str]) -> None:
    if field.ref:
        _walk_struct(value, field.ref, path, found)
    elif field.kind in "ABC":
        _walk_struct(value, _PROPS, path, found)
