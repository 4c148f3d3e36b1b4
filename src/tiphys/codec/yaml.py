"""YAML as kubectl and the API server read and write it: YAML 1.1 by go-yaml's rules.

`no`, `on` and `y` are booleans, `014` and `0o14` are 12, `1_000` is 1000, dates and `1:30` are
strings, keys become strings. Upstream: sigs.k8s.io/yaml, its goyaml.v2 (resolve.go, encode.go).
"""

import math
import re
from collections.abc import Iterator
from typing import Any, ClassVar, Final

import yaml

from tiphys.api.meta import Obj
from tiphys.codec.typed import DecodeError

# Of one document, aliases expanded: a bound for bombs. An object of 1.5 MB, the most that is
# stored, has fewer.
VALUES_MAX: Final = 200_000
DEPTH_MAX: Final = 300  # Of nesting; well within the interpreter's own bound.

_MERGE: Final = "<<"
_BOOLS: Final = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "off", "Off", "OFF"), False),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_SPECIAL_FLOATS: Final = {
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_Parser: Final[Any] = yaml.CSafeLoader
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INTEGER: Final = re.compile(r"([-+]?)(0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|0|[1-9][0-9]*)")
_BASE60: Final = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
_TIMESTAMP: Final = re.compile(
    r"\d{4}-\d\d?-\d\d?(([Tt]|[ \t]+)\d\d?:\d\d:\d\d(\.\d*)?([ \t]*(Z|[-+]\d\d?(:\d\d)?))?)?"
)
_FLOAT_DIGITS_MAX: Final = 21  # From 1e21 on Go writes an exponent.


def decode(data: bytes | str) -> Obj:
    """The first document as an object, keys sorted as upstream's way through JSON does.

    Raises DecodeError, also for what is no mapping. An empty document is an empty object.
    """
    found, _ = decode_strict(data)
    return found


def decode_strict(data: bytes | str) -> tuple[Obj, list[str]]:
    """Like decode, with what was wrong but readable: `line 8: key "kind" already set in map`."""
    duplicates: list[str] = []
    document = next(_documents(data, duplicates), None)
    if document is None:
        return {}, []
    if not isinstance(document, dict):
        kind = "array" if isinstance(document, list) else _go_kind(document)
        raise DecodeError(f"json: cannot unmarshal {kind} into Go value of type map")
    return document, duplicates


def _go_kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    return "string" if isinstance(value, str) else "number"


def decode_all(data: bytes | str) -> Iterator[Any]:
    """Every document of a stream; empty ones are None. Raises DecodeError."""
    return _documents(data, [])


def _documents(data: bytes | str, duplicates: list[str]) -> Iterator[Any]:
    """Events, never nodes: libyaml composes nodes by recursion in C, which deep input overflows."""
    try:
        parser = _Parser(data)
    except yaml.YAMLError as error:
        raise DecodeError(_text(error)) from None
    try:
        while not parser.check_event(yaml.StreamEndEvent):
            event = parser.get_event()
            if isinstance(event, (yaml.StreamStartEvent, yaml.DocumentEndEvent)):
                continue
            if isinstance(event, yaml.DocumentStartEvent):
                yield _Conversion(parser, duplicates).value(parser.get_event(), 0)
    except yaml.YAMLError as error:
        raise DecodeError(_text(error)) from None
    finally:
        parser.dispose()


def _text(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    line = 0 if mark is None else mark.line
    # go-yaml counts from one only where its scanner found the fault.
    if isinstance(error, yaml.scanner.ScannerError):
        line += 1
    where = f"line {line}: " if line else ""
    return f"error converting YAML to JSON: yaml: {where}{problem}"


class _Conversion:
    """One document's events to JSON values, counting what aliases expand to."""

    def __init__(self, parser: Any, duplicates: list[str]) -> None:
        self._parser = parser
        self._duplicates = duplicates
        self._count = 0
        self._anchors: dict[str, tuple[Any, int]] = {}  # Value and how many values it holds.

    def value(self, event: Any, depth: int) -> Any:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        before = self._count
        self._counted(1)
        if depth > DEPTH_MAX:
            raise DecodeError("error converting YAML to JSON: exceeded max depth")
        if isinstance(event, yaml.ScalarEvent):
            found = _scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            found = self._sequence(depth)
        else:
            found = self._mapping(depth)
        if event.anchor:
            self._anchors[event.anchor] = (found, self._count - before)
        return found

    def _counted(self, values: int) -> None:
        self._count += values
        if self._count > VALUES_MAX:
            raise DecodeError("yaml: document contains excessive aliasing")

    def _alias(self, event: Any) -> Any:
        if event.anchor not in self._anchors:
            raise DecodeError(
                f"error converting YAML to JSON: yaml: unknown anchor '{event.anchor}' referenced"
            )
        found, size = self._anchors[event.anchor]
        self._counted(size)
        return found

    def _sequence(self, depth: int) -> list[Any]:
        found = []
        while not isinstance(event := self._parser.get_event(), yaml.SequenceEndEvent):
            found.append(self.value(event, depth + 1))
        return found

    def _mapping(self, depth: int) -> Obj:
        found: Obj = {}
        merged: Obj = {}
        while not isinstance(event := self._parser.get_event(), yaml.MappingEndEvent):
            is_merge = (
                isinstance(event, yaml.ScalarEvent) and event.implicit[0] and event.value == _MERGE
            )
            line = event.start_mark.line + 1
            key = _MERGE if is_merge else _key(self.value(event, depth + 1))
            given = self.value(self._parser.get_event(), depth + 1)
            if is_merge:
                merged = _merged(given) | merged
                continue
            if key in found:
                self._duplicates.append(f'line {line}: key "{key}" already set in map')
            found[key] = given
        whole = merged | found
        return {key: whole[key] for key in sorted(whole)}


def _merged(given: Any) -> Obj:
    found: Obj = {}
    for source in given if isinstance(given, list) else [given]:
        if not isinstance(source, dict):
            raise DecodeError("yaml: map merge requires map or sequence of maps as the value")
        found = source | found
    return found


def _key(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    raise DecodeError(f"error converting YAML to JSON: unsupported map key of type: {type(value)}")


def _scalar(event: Any) -> Any:
    text: str = event.value
    if event.implicit[0]:
        return resolve(text)
    tag = (event.tag or "").rpartition(":")[2]
    if tag in {"int", "float", "bool", "null"}:
        return resolve(text)
    if tag == "binary":
        return text.replace("\n", "").strip()
    return text


def resolve(text: str) -> Any:
    """What a plain scalar means. Raises DecodeError for what JSON cannot hold."""
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if text in _SPECIAL_FLOATS:
        raise DecodeError(
            f"error converting YAML to JSON: json: unsupported value: {_SPECIAL_FLOATS[text]}"
        )
    if text[0] in "+-.0123456789":
        return _number(text)
    return text


def _number(text: str) -> Any:
    plain = text.replace("_", "")
    match = _INTEGER.fullmatch(plain)
    if match is not None:
        number = _integer(match[2])
        number = -number if match[1] == "-" else number
        if -(2**63) <= number < 2**64:
            return number
    if _FLOAT.fullmatch(plain):
        number_float = float(plain)
        if math.isinf(number_float):
            return text
        if number_float.is_integer() and abs(number_float) < 10**_FLOAT_DIGITS_MAX:
            return int(number_float)
        return number_float
    return text


def _integer(digits: str) -> int:
    if len(digits) > 1 and digits[0] == "0":
        base = {"x": 16, "b": 2, "o": 8}.get(digits[1].lower(), 8)
        return int(digits[2:] if digits[1].isalpha() else digits, base)
    return int(digits) if len(digits) < 30 else 2**64


class _Dumper(yaml.CSafeDumper):
    """Writes scalars as go-yaml does; never writes anchors.

    Every scalar is handed on as a string and there are no implicit tags, so that what is quoted is
    decided here alone.
    """

    yaml_implicit_resolvers: ClassVar[Any] = {}  # type: ignore[misc]  # stubs say otherwise

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def _needs_quotes(text: str) -> bool:
    """Whether a plain scalar with this text would not come back as a string."""
    if text in _SPECIAL_FLOATS or text == _MERGE or text in _NULLS or text in _BOOLS:
        return True
    if _BASE60.fullmatch(text) or _TIMESTAMP.fullmatch(text):
        return True
    return not isinstance(resolve(text), str)


_STRING: Final = "tag:yaml.org,2002:str"
_WIDTH: Final = 80  # go-yaml's default.


def _represent_string(dumper: Any, text: str) -> Any:
    style = '"' if _needs_quotes(text) else "|" if "\n" in text else None
    return dumper.represent_scalar(_STRING, text, style=style)


def _represent_constant(dumper: Any, value: bool | None) -> Any:
    text = {None: "null", True: "true", False: "false"}[value]
    return dumper.represent_scalar(_STRING, text)


def _represent_number(dumper: Any, value: float) -> Any:
    return dumper.represent_scalar(_STRING, _number_text(value))


def _number_text(value: float) -> str:
    return repr(value) if isinstance(value, float) else str(value)


_Dumper.add_representer(str, _represent_string)
_Dumper.add_representer(bool, _represent_constant)
_Dumper.add_representer(type(None), _represent_constant)
_Dumper.add_representer(int, _represent_number)
_Dumper.add_representer(float, _represent_number)


def encode(obj: Any) -> bytes:
    """As `kubectl -o yaml` prints: keys sorted, lists not indented, long lines folded at blanks."""
    text: bytes = yaml.dump(
        obj,
        Dumper=_Dumper,
        default_flow_style=False,
        allow_unicode=True,
        sort_keys=True,
        width=_WIDTH,
        encoding="utf-8",
    )
    return text
