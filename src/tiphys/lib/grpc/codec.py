"""Protobuf messages as dicts with a table's field names, to and from bytes.

A field that is absent has its default (proto3): read with `.get(name, default)`. Enums are their
names (a number that the table lacks stays an int), bytes are bytes, maps are dicts, repeated
fields are lists. An encoded dict may hold None for "absent"; a present message, even {}, is sent.

Wire format: https://protobuf.dev/programming-guides/encoding/ (varint, 64-bit, length, 32-bit).
"""

import struct
from collections.abc import Mapping
from typing import Any, Final

from tiphys.lib.grpc.schema import Field, Message, Schema

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
VARINT_BYTES_MAX: Final = 10  # 64 bits in groups of 7.
DEPTH_MAX: Final = 32  # The deepest CRI message has 8 levels; protobuf's own bound is 100.
_DOUBLE: Final = struct.Struct("<d")
_WIRE_TYPES: Final = {
    "string": LENGTH,
    "bytes": LENGTH,
    "message": LENGTH,
    "map": LENGTH,
    "double": FIXED64,
}


class CodecError(ValueError):
    """A message that cannot be encoded or bytes that cannot be decoded."""


def encode(schema: Schema, name: str, value: Mapping[str, Any]) -> bytes:
    """The protobuf bytes of the message called name.

    Raises: CodecError for a field the message does not have or a value of the wrong type.
    """
    out = bytearray()
    _encode_message(schema, out, _message(schema, name), value)
    return bytes(out)


def decode(schema: Schema, name: str, data: bytes) -> dict[str, Any]:
    """The message called name; unknown fields are skipped.

    Raises: CodecError when data is not well-formed.
    """
    return _decode_message(schema, _message(schema, name), memoryview(data), 0)


def _message(schema: Schema, name: str) -> Message:
    try:
        return schema.messages[name]
    except KeyError:
        raise CodecError(f"no message is called {name}") from None


def _encode_message(
    schema: Schema, out: bytearray, message: Message, value: Mapping[str, Any]
) -> None:
    for key, item in value.items():
        field = message.by_name.get(key)
        if field is None:
            raise CodecError(f"{message.name} has no field {key}")
        if item is None:
            continue
        try:
            _encode_field(schema, out, field, item)
        except (TypeError, AttributeError, struct.error) as exc:
            raise CodecError(f"{message.name}.{key}: {exc}") from exc


def _encode_field(schema: Schema, out: bytearray, field: Field, value: Any) -> None:
    wire = _WIRE_TYPES.get(field.kind, VARINT)
    tag = field.number << 3 | wire
    if field.kind == "map":
        for key, item in value.items():
            _put_length(out, tag, _map_entry(key, item))
    elif not field.repeated:
        if field.kind == "message" or not _is_default(schema, field, value):
            _encode_one(schema, out, tag, field, value)
    elif wire == LENGTH:
        for item in value:
            _encode_one(schema, out, tag, field, item)
    elif value:
        packed = bytearray()
        for item in value:
            _put_scalar(schema, packed, field, item)
        _put_length(out, field.number << 3 | LENGTH, packed)


def _is_default(schema: Schema, field: Field, value: Any) -> bool:
    if field.kind == "enum":
        return _enum_number(schema, field, value) == 0
    return not value


def _encode_one(schema: Schema, out: bytearray, tag: int, field: Field, value: Any) -> None:
    if field.kind == "message":
        inner = bytearray()
        _encode_message(schema, inner, schema.messages[field.type_name], value)
        _put_length(out, tag, inner)
    elif field.kind == "string":
        _put_length(out, tag, value.encode())
    elif field.kind == "bytes":
        _put_length(out, tag, bytes(value))
    else:
        _put_varint(out, tag)
        _put_scalar(schema, out, field, value)


def _put_scalar(schema: Schema, out: bytearray, field: Field, value: Any) -> None:
    if field.kind == "double":
        out += _DOUBLE.pack(value)
    elif field.kind == "enum":
        _put_varint(out, _enum_number(schema, field, value) & (1 << 64) - 1)
    else:
        # Negative int32 and int64 both take the 64-bit two's complement.
        _put_varint(out, int(value) & (1 << 64) - 1)


def _enum_number(schema: Schema, field: Field, value: Any) -> int:
    if isinstance(value, int):
        return value
    numbers = schema.enums[field.type_name].numbers
    if value not in numbers:
        raise CodecError(f"{field.type_name} has no value {value}")
    return numbers[value]


def _map_entry(key: str, value: str) -> bytearray:
    entry = bytearray()
    _put_length(entry, 1 << 3 | LENGTH, key.encode())
    _put_length(entry, 2 << 3 | LENGTH, value.encode())
    return entry


def _put_length(out: bytearray, tag: int, data: bytes | bytearray) -> None:
    _put_varint(out, tag)
    _put_varint(out, len(data))
    out += data


def _put_varint(out: bytearray, value: int) -> None:
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def _decode_message(
    schema: Schema, message: Message, data: memoryview, depth: int
) -> dict[str, Any]:
    if depth > DEPTH_MAX:
        raise CodecError(f"{message.name} is nested too deep")
    result: dict[str, Any] = {}
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        field = message.by_number.get(tag >> 3)
        raw, at = _raw(data, at, tag & 7)
        if field is not None:
            _decode_field(schema, result, field, raw, depth)
    return result


def _raw(data: memoryview, at: int, wire: int) -> tuple[int | memoryview, int]:
    """One undecoded value and where the next field begins."""
    if wire == VARINT:
        return _varint(data, at)
    if wire == LENGTH:
        size, at = _varint(data, at)
    elif wire == FIXED64:
        size = 8
    elif wire == FIXED32:
        size = 4
    else:
        raise CodecError(f"unknown wire type {wire}")
    if at + size > len(data):
        raise CodecError("message is cut short")
    return data[at : at + size], at + size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    for _ in range(VARINT_BYTES_MAX):
        if at >= len(data):
            raise CodecError("message is cut short")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (1 << 64) - 1, at
        shift += 7
    raise CodecError("varint is too long")


def _decode_field(
    schema: Schema, result: dict[str, Any], field: Field, raw: int | memoryview, depth: int
) -> None:
    if field.kind == "map":
        key, value = _decode_entry(_bytes(field, raw))
        result.setdefault(field.name, {})[key] = value
    elif not field.repeated:
        value = _decode_value(schema, field, raw, depth)
        if field.kind == "message" and field.name in result:
            value = result[field.name] | value  # The last of two merges into the first.
        result[field.name] = value
    elif isinstance(raw, memoryview) and field.kind not in ("string", "bytes", "message"):
        result.setdefault(field.name, []).extend(_decode_packed(schema, field, raw))
    else:
        result.setdefault(field.name, []).append(_decode_value(schema, field, raw, depth))


def _decode_packed(schema: Schema, field: Field, raw: memoryview) -> list[Any]:
    values = []
    at = 0
    wire = _WIRE_TYPES.get(field.kind, VARINT)
    while at < len(raw):
        item, at = _raw(raw, at, wire)
        values.append(_decode_value(schema, field, item, 0))
    return values


def _decode_value(schema: Schema, field: Field, raw: int | memoryview, depth: int) -> Any:
    if field.kind == "message":
        inner = schema.messages[field.type_name]
        return _decode_message(schema, inner, _bytes(field, raw), depth + 1)
    if field.kind == "string":
        return _text(_bytes(field, raw))
    if field.kind == "bytes":
        return bytes(_bytes(field, raw))
    if field.kind == "double":
        return _DOUBLE.unpack(_bytes(field, raw))[0]
    return _number(schema, field, raw)


def _number(schema: Schema, field: Field, raw: int | memoryview) -> Any:
    if not isinstance(raw, int):
        raise CodecError(f"{field.name} has the wrong wire type")
    if field.kind == "bool":
        return bool(raw)
    if field.kind == "uint64":
        return raw
    if field.kind == "uint32":
        return raw & 0xFFFFFFFF
    bits = 64 if field.kind == "int64" else 32
    number = raw & (1 << bits) - 1
    number -= (number >> bits - 1) << bits
    return schema.enums[field.type_name].names.get(number, number) if field.type_name else number


def _bytes(field: Field, raw: int | memoryview) -> memoryview:
    if isinstance(raw, int) or (field.kind == "double" and len(raw) != _DOUBLE.size):
        raise CodecError(f"{field.name} has the wrong wire type")
    return raw


def _text(raw: memoryview) -> str:
    try:
        return str(raw, "utf-8")
    except UnicodeDecodeError as exc:
        raise CodecError("a string is not UTF-8") from exc


def _decode_entry(data: memoryview) -> tuple[str, str]:
    pair = {1: "", 2: ""}
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        raw, at = _raw(data, at, tag & 7)
        if tag >> 3 in pair:
            if isinstance(raw, int):
                raise CodecError("a map entry has the wrong wire type")
            pair[tag >> 3] = _text(raw)
    return pair[1], pair[2]
