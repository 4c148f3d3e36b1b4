"""Objects in protobuf, driven by the schema table.

A body is `k8s\\0` and a runtime.Unknown: {1 typeMeta {1 apiVersion, 2 kind}, 2 raw message,
3 contentEncoding, 4 contentType}. Messages follow gogo's proto2 rules: scalars that are no
pointers are always written, maps sorted by key, fields ascending. A watch is a row of frames, each
four bytes of length and a bare WatchEvent whose object is again a body.

Upstream: apimachinery pkg/runtime/serializer/protobuf, staging/src/k8s.io/api/*/generated.pb.go.
"""

import base64
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

import orjson

from tiphys.api.meta import Obj, parse_time
from tiphys.api.resources import schema_package
from tiphys.api.schema import SCHEMA, Field, TypeDef
from tiphys.codec.typed import DecodeError, to_typed
from tiphys.codec.wire import VARINT, WireError, delimited, fields, signed, tag, varint

MAGIC: Final = b"k8s\x00"
CONTENT_TYPE: Final = "application/vnd.kubernetes.protobuf"
DEPTH_MAX: Final = 200  # Of nested messages in a body; no kind comes near.
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PROPS: Final = "apiextensions.v1.JSONSchemaProps"

Decode = Callable[[Any, int], Any]
Encode = Callable[[Any], bytes]


def schema_type(api_version: str, kind: str) -> str | None:
    """The schema's name of a kind on the wire, or None for one that is not built in."""
    group, _, version = api_version.rpartition("/")
    packages = [schema_package(group, version), "meta.v1"]
    if api_version == "meta.k8s.io/v1beta1":  # Where it has a list of its own, packed otherwise.
        packages.insert(0, "meta.v1beta1")
    for package in packages:
        if package and f"{package}.{kind}" in SCHEMA.types:
            return f"{package}.{kind}"
    return None


def decode_object(data: bytes, default_type: str = "") -> Obj:
    """The object of a body, in the form of codec.typed. Raises DecodeError.

    default_type names the schema type of a body that does not say what it is.
    """
    if not data.startswith(MAGIC):
        raise DecodeError(
            "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
        )
    try:
        return _decode_body(data, 0, default_type)
    except WireError as error:
        raise DecodeError(str(error)) from None


def _decode_body(data: bytes, depth: int, default_type: str = "") -> Obj:
    api_version = kind = ""
    raw = b""
    for number, _, value in fields(data[len(MAGIC) :]):
        if number == 1 and isinstance(value, bytes):
            meta = {n: v for n, _, v in fields(value) if isinstance(v, bytes)}
            api_version, kind = _text(meta.get(1, b"")), _text(meta.get(2, b""))
        elif number == 2 and isinstance(value, bytes):
            raw = value
    name = schema_type(api_version, kind) if kind or not default_type else default_type
    if name is None:
        raise DecodeError(
            f'no kind "{kind}" is registered for version "{api_version}" in scheme '
            '"pkg/api/legacyscheme/scheme.go:30"'
        )
    found = to_typed(_decoder(name)(raw, depth + 1), name)
    return {"kind": kind, "apiVersion": api_version} | found if kind else found


def encode_object(obj: Obj, default_type: str = "") -> bytes:
    """The body of an object. Raises DecodeError for a kind without a protobuf form."""
    api_version, kind = obj.get("apiVersion", ""), obj.get("kind", "")
    name = schema_type(api_version, kind) if kind or not default_type else default_type
    if name is None:
        raise DecodeError(f"object {api_version}, Kind={kind} has no protobuf form")
    type_meta = delimited(1, api_version.encode()) + delimited(2, kind.encode())
    raw = _encoder(name)(obj)
    return (
        MAGIC + delimited(1, type_meta) + delimited(2, raw) + delimited(3, b"") + delimited(4, b"")
    )


def encode_watch_event(event_type: str, body: bytes) -> bytes:
    """A bare WatchEvent; body is what encode_object gave."""
    return delimited(1, event_type.encode()) + delimited(2, delimited(1, body))


def encode_watch_frame(event_type: str, body: bytes) -> bytes:
    """The same as one frame of a watch."""
    event = encode_watch_event(event_type, body)
    return struct.pack(">I", len(event)) + event


def decode_watch_event(event: bytes) -> tuple[str, Obj]:
    """(type, object) of a bare WatchEvent. Raises DecodeError."""
    try:
        parts = {n: _message(v) for n, _, v in fields(event)}
        body = next((_message(v) for n, _, v in fields(parts.get(2, b"")) if n == 1), b"")
        return _text(parts.get(1, b"")), decode_object(body)
    except WireError as error:
        raise DecodeError(str(error)) from None


def _text(data: Any) -> str:
    if not isinstance(data, bytes):
        raise WireError("proto: wrong wireType for a string")
    return data.decode("utf-8", "replace")


# Decoding: per type a table of number -> (name, how to take a value into the object).

Take = Callable[[Obj, Any, int], None]


@cache  # noqa: B019,RUF100 - bounded by the number of types
def _decoder(type_name: str) -> Decode:
    definition = SCHEMA.types[type_name]
    takes: dict[int, Take] = {}

    def decode(data: Any, depth: int) -> Any:
        if not takes:
            takes.update(_takes(definition))
        if depth > DEPTH_MAX or not isinstance(data, bytes):
            raise WireError("proto: message nested too deep or of a wrong wireType")
        out: Obj = {}
        for number, _, value in fields(data):
            take = takes.get(number)
            if take is not None:
                take(out, value, depth)
        return out

    return decode


def _takes(definition: TypeDef) -> dict[int, Take]:
    found: dict[int, Take] = {}
    for number, entry in definition.wire:
        if isinstance(entry, TypeDef):
            found[number] = _take_embedded(_decoder(entry.name))
        else:
            found[number] = _take_field(entry)
    return found


def _take_embedded(decode: Decode) -> Take:
    def take(out: Obj, value: Any, depth: int) -> None:
        out.update(decode(value, depth + 1))

    return take


def _take_field(field: Field) -> Take:
    name = field.name
    decode = _decode_list_value() if field.container == "map of list" else _decode_value(field)

    def take_one(out: Obj, value: Any, depth: int) -> None:
        out[name] = decode(value, depth + 1)

    def take_list(out: Obj, value: Any, depth: int) -> None:
        out.setdefault(name, []).append(decode(value, depth + 1))

    def take_items(out: Obj, value: Any, depth: int) -> None:
        out.setdefault(name, []).extend(_texts(value))

    def take_map(out: Obj, value: Any, depth: int) -> None:
        entry = {n: v for n, _, v in fields(_message(value))}
        given = entry.get(2)
        if given is None:
            given = b"" if field.kind not in "ilb" or field.ref else 0
        out.setdefault(name, {})[_text(entry.get(1, b""))] = decode(given, depth + 1)

    if field.container == "list":
        return take_items if field.go_name == "Verbs" else take_list
    return take_map if field.container else take_one


def _message(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    raise WireError("proto: wrong wireType for a message")


def _texts(value: Any) -> list[str]:
    return [_text(v) for n, _, v in fields(_message(value)) if n == 1]


def _decode_list_value() -> Decode:
    return lambda value, depth: _texts(value)


def _decode_value(field: Field) -> Decode:
    return _decoder(field.ref) if field.ref else _DECODERS[field.kind]


def _decode_int(value: Any, _: int) -> Any:
    if isinstance(value, int):
        return signed(value)
    raise WireError("proto: wrong wireType for an integer")


def _decode_int32(value: Any, _: int) -> Any:
    if isinstance(value, int):
        low = value & 0xFFFFFFFF
        return low - (1 << 32) if low >> 31 else low
    raise WireError("proto: wrong wireType for an integer")


def _decode_double(value: Any, _: int) -> Any:
    number: float = struct.unpack("<d", _message(value))[0]
    return int(number) if number.is_integer() else number


def _moment(value: Any) -> datetime | None:
    parts = {n: v for n, _, v in fields(_message(value)) if isinstance(v, int)}
    seconds, nanos = signed(parts.get(1, 0)), parts.get(2, 0)
    if not seconds and not nanos:
        return None
    try:
        return _EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)
    except OverflowError:
        raise WireError("timestamp out of range") from None


def _decode_time(value: Any, _: int) -> Any:
    moment = _moment(value)
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


def _decode_micro_time(value: Any, _: int) -> Any:
    moment = _moment(value)
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def _decode_quantity(value: Any, _: int) -> Any:
    return next((_text(v) for n, _, v in fields(_message(value)) if n == 1), "") or "0"


def _decode_int_or_string(value: Any, _: int) -> Any:
    parts = {n: v for n, _, v in fields(_message(value))}
    if parts.get(1, 0):
        return _text(parts.get(3, b""))
    return _decode_int32(parts.get(2, 0), 0)


def _decode_raw(value: Any, depth: int) -> Any:
    raw = next((v for n, _, v in fields(_message(value)) if n == 1), b"")
    if not isinstance(raw, bytes) or not raw:
        return None
    if raw.startswith(MAGIC):
        return _decode_body(raw, depth)
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise WireError("raw extension is not JSON") from None


def _decode_props_or_array(value: Any, depth: int) -> Any:
    parts = list(fields(_message(value)))
    many = [_decoder(_PROPS)(v, depth + 1) for n, _, v in parts if n == 2]
    one = next((_decoder(_PROPS)(v, depth + 1) for n, _, v in parts if n == 1), None)
    return many or one


def _decode_props_or_bool(value: Any, depth: int) -> Any:
    parts = {n: v for n, _, v in fields(_message(value))}
    return _decoder(_PROPS)(parts[2], depth + 1) if 2 in parts else bool(parts.get(1, 0))


def _decode_props_or_strings(value: Any, depth: int) -> Any:
    parts = list(fields(_message(value)))
    one = next((_decoder(_PROPS)(v, depth + 1) for n, _, v in parts if n == 1), None)
    return one if one is not None else [_text(v) for n, _, v in parts if n == 2]


_DECODERS: Final[dict[str, Decode]] = {
    "s": lambda value, _: _text(value),
    "i": _decode_int32,
    "l": _decode_int,
    "b": lambda value, _: bool(value),
    "y": lambda value, _: base64.b64encode(_message(value)).decode(),
    "e": _decode_double,
    "T": _decode_time,
    "U": _decode_micro_time,
    "Q": _decode_quantity,
    "I": _decode_int_or_string,
    "R": _decode_raw,
    "J": _decode_raw,
    "A": _decode_props_or_array,
    "B": _decode_props_or_bool,
    "C": _decode_props_or_strings,
}


# Encoding: per type a row of functions, each giving the bytes of one field of an object.


@cache  # noqa: B019,RUF100 - bounded by the number of types
def _encoder(type_name: str) -> Encode:
    definition = SCHEMA.types[type_name]
    parts: list[Encode] = []

    def encode(obj: Any) -> bytes:
        if not parts and definition.wire:
            parts.extend(_parts(definition))
        try:
            return b"".join([part(obj) for part in parts])
        except _MISFITS:
            if not isinstance(obj, dict):
                raise
            return b"".join(_fitting(parts, obj))

    return encode


# What values of other types than the schema's raise.
_MISFITS: Final = (AttributeError, TypeError, ValueError, OverflowError, struct.error)


def _fitting(parts: list[Encode], obj: Obj) -> Iterator[bytes]:
    """Without the fields that have not their types' form: one object, stored when nobody looked,
    must not keep everybody from reading a list."""
    for part in parts:
        with suppress(*_MISFITS):
            yield part(obj)


def _parts(definition: TypeDef) -> list[Encode]:
    found: list[Encode] = []
    for number, entry in sorted(definition.wire, key=lambda pair: pair[0]):
        if isinstance(entry, TypeDef):
            found.append(_embedded_part(number, _encoder(entry.name)))
        else:
            found.append(_field_part(number, entry))
    return found


def _embedded_part(number: int, encode: Encode) -> Encode:
    return lambda obj: delimited(number, encode(obj))


def _field_part(number: int, field: Field) -> Encode:
    if field.container == "list":
        if field.go_name == "Verbs":
            return lambda obj: delimited(number, _items(obj.get(field.name)))
        return _list_part(number, field)
    if field.container:
        return _map_part(number, field)
    encode = _encode_value(number, field)
    name = field.name
    if field.pointer:
        return lambda obj: b"" if obj.get(name) is None else encode(obj[name])
    zero = _ZEROS.get(field.kind, {}) if not field.ref else {}

    def part(obj: Any) -> bytes:
        value = obj.get(name)
        return (
            encode(zero if value is None else value)
            if value is not None or zero is not None
            else b""
        )

    return part


# What is written for a value that is not there; None = nothing.
_ZEROS: Final[dict[str, Any]] = {
    "s": "", "i": 0, "l": 0, "b": False, "e": 0.0, "y": None, "T": "", "U": "", "Q": "", "I": 0,
    "R": b"", "J": None, "A": None, "B": None, "C": None,
}  # fmt: skip


def _list_part(number: int, field: Field) -> Encode:
    encode = _encode_value(number, field)
    name = field.name
    return lambda obj: b"".join([encode(v) for v in obj.get(name) or ()])


def _map_part(number: int, field: Field) -> Encode:
    name = field.name
    encode: Encode
    if field.container == "map of list":

        def encode(value: Any) -> bytes:
            return delimited(2, _items(value))
    else:
        encode = _encode_value(2, field)

    def part(obj: Any) -> bytes:
        found = obj.get(name) or {}
        return b"".join(
            [delimited(number, delimited(1, k.encode()) + encode(found[k])) for k in sorted(found)]
        )

    return part


def _items(values: Any) -> bytes:
    return b"".join([delimited(1, v.encode()) for v in values or ()])


def _encode_value(number: int, field: Field) -> Encode:
    if field.ref:
        encode = _encoder(field.ref)
        return lambda value: delimited(number, encode(value or {}))
    if field.kind in "ilb":
        head = tag(number, VARINT)
        return lambda value: head + varint(int(value or 0))
    if field.kind == "e":
        head = tag(number, 1)
        return lambda value: head + struct.pack("<d", value or 0.0)
    content = _CONTENTS[field.kind]
    return lambda value: delimited(number, content(value))


def _encode_moment(value: Any) -> bytes:
    if not value:
        return b""
    moment = parse_time(value) - _EPOCH
    seconds = moment.days * 86400 + moment.seconds
    return tag(1, VARINT) + varint(seconds) + tag(2, VARINT) + varint(moment.microseconds * 1000)


def _encode_int_or_string(value: Any) -> bytes:
    text = value if isinstance(value, str) else None
    number = 0 if text is not None else int(value or 0)
    head = tag(1, VARINT) + varint(1 if text is not None else 0) + tag(2, VARINT) + varint(number)
    return head + delimited(3, (text or "").encode())


def _encode_raw(value: Any) -> bytes:
    return b"" if value is None or value == b"" else delimited(1, orjson.dumps(value))


def _encode_props_or_array(value: Any) -> bytes:
    encode = _encoder(_PROPS)
    if isinstance(value, list):
        return b"".join([delimited(2, encode(v)) for v in value])
    return delimited(1, encode(value))


def _encode_props_or_bool(value: Any) -> bytes:
    head = tag(1, VARINT) + varint(1 if value or isinstance(value, dict) else 0)
    return head + delimited(2, _encoder(_PROPS)(value)) if isinstance(value, dict) else head


def _encode_props_or_strings(value: Any) -> bytes:
    if isinstance(value, list):
        return b"".join([delimited(2, v.encode()) for v in value])
    return delimited(1, _encoder(_PROPS)(value))


_CONTENTS: Final[dict[str, Encode]] = {
    "s": lambda value: (value or "").encode("utf-8", "replace"),
    "y": lambda value: base64.b64decode(value or ""),
    "T": _encode_moment,
    "U": _encode_moment,
    "Q": lambda value: delimited(1, (value or "").encode()),
    "I": _encode_int_or_string,
    "R": _encode_raw,
    "J": _encode_raw,
    "A": _encode_props_or_array,
    "B": _encode_props_or_bool,
    "C": _encode_props_or_strings,
}
