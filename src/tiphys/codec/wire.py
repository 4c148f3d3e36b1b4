"""The wire format of protocol buffers: varints, tags, length-delimited fields. No types here.

    tag    varint: number << 3 | wire type
    0      varint            1  8 bytes, little-endian
    2      varint length, then that many bytes        5  4 bytes, little-endian

Source: protobuf.dev, "Encoding".
"""

from collections.abc import Iterator
from typing import Final

VARINT: Final = 0
FIXED64: Final = 1
LENGTH: Final = 2
FIXED32: Final = 5
_VARINT_BYTES_MAX: Final = 10  # 64 bits, seven to a byte.
_MASK64: Final = (1 << 64) - 1


class WireError(ValueError):
    """Bytes that are not a message."""


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """(unsigned value, where the next byte is). Raises WireError."""
    value = shift = 0
    try:
        for at in range(at, at + _VARINT_BYTES_MAX):  # noqa: B020,PLW2901,RUF100 - resumes at `at`
            byte = data[at]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & _MASK64, at + 1
            shift += 7
    except IndexError:
        raise WireError("unexpected EOF") from None
    raise WireError("proto: integer overflow")


def fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """(number, wire type, value) of each field; an int, or bytes for LENGTH. Raises WireError."""
    at, end = 0, len(data)
    while at < end:
        byte = data[at]
        if byte < 0x80:
            tag, at = byte, at + 1
        else:
            tag, at = read_varint(data, at)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == LENGTH:
            size, at = read_varint(data, at)
            stop = at + size
            if stop > end:
                raise WireError("unexpected EOF")
            yield number, wire_type, data[at:stop]
            at = stop
        elif wire_type == VARINT:
            value, at = read_varint(data, at)
            yield number, wire_type, value
        elif wire_type in (FIXED64, FIXED32):
            stop = at + (8 if wire_type == FIXED64 else 4)
            if stop > end:
                raise WireError("unexpected EOF")
            yield number, wire_type, data[at:stop]
            at = stop
        else:
            raise WireError(f"proto: illegal wireType {wire_type}")
        if not number:
            raise WireError("proto: illegal tag 0")


def signed(value: int) -> int:
    """An int32 or int64 from its varint."""
    return value - (1 << 64) if value >> 63 else value


def varint(value: int) -> bytes:
    """A varint; negative numbers take ten bytes."""
    if 0 <= value < 0x80:
        return bytes((value,))
    value &= _MASK64
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def tag(number: int, wire_type: int) -> bytes:
    return varint(number << 3 | wire_type)


def delimited(number: int, data: bytes) -> bytes:
    """A LENGTH field, whole."""
    return tag(number, LENGTH) + varint(len(data)) + data
