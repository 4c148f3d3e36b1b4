"""HPACK: header fields as blocks of bytes. A whole decoder, and an encoder that keeps no table.

Fields that a client repeats come as one byte each, so the decoder is a loop over a list. Huffman
codes are decoded by the library hpack, loaded when the first one comes. Source: RFC 7541.
"""

from collections import deque
from typing import Final, TypeAlias

Field: TypeAlias = tuple[bytes, bytes]

TABLE_BYTES_MAX: Final = 4096  # SETTINGS_HEADER_TABLE_SIZE that we announce by saying nothing.
ENTRY_BYTES: Final = 32  # Section 4.1.
_INTEGER_BYTES_MAX: Final = 5  # Of a number: enough for 2**31.
_TEXTS_MAX: Final = 1024  # Huffman codes kept with what they mean; cleared when full.
_TEXT_BYTES_MAX: Final = 512

# Appendix A, "name value" or only a name; the first is number 1.
_STATIC_TEXT: Final = (
    ":authority|:method GET|:method POST|:path /|:path /index.html|:scheme http|:scheme https|"
    ":status 200|:status 204|:status 206|:status 304|:status 400|:status 404|:status 500|"
    "accept-charset|accept-encoding gzip, deflate|accept-language|accept-ranges|accept|"
    "access-control-allow-origin|age|allow|authorization|cache-control|content-disposition|"
    "content-encoding|content-language|content-length|content-location|content-range|"
    "content-type|cookie|date|etag|expect|expires|from|host|if-match|if-modified-since|"
    "if-none-match|if-range|if-unmodified-since|last-modified|link|location|max-forwards|"
    "proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after|server|set-cookie|"
    "strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate"
)
STATIC: Final[tuple[Field, ...]] = tuple(
    (name, value)
    for name, _, value in (text.encode().partition(b" ") for text in _STATIC_TEXT.split("|"))
)
_STATIC_COUNT: Final = len(STATIC)  # 61
_NUMBERS: Final = {name: number for number, (name, _) in reversed(list(enumerate(STATIC, 1)))}
_WHOLE: Final = {field: number for number, field in enumerate(STATIC, 1) if field[1]}


class HpackError(Exception):
    """The block means nothing; after it nothing else on the connection does."""


class HeadTooLarge(HpackError):
    """More fields than are allowed; the text says how much is."""


class Decoder:
    """One direction of one connection.

    `generation` changes with the table: equal blocks mean the same while it stays.
    """

    __slots__ = ("_bytes", "_bytes_max", "_table", "generation", "list_bytes_max")

    def __init__(self, list_bytes_max: int) -> None:
        """list_bytes_max: of all fields of a head, counted as section 4.1 does."""
        self.list_bytes_max = list_bytes_max
        self.generation = 0
        self._table: deque[Field] = deque()
        self._bytes = 0
        self._bytes_max = TABLE_BYTES_MAX

    def decode(self, block: bytes) -> list[Field]:
        """Raises HpackError."""
        try:
            return self._fields(block)
        except IndexError:
            raise HpackError("a field without an end") from None

    def _fields(self, block: bytes) -> list[Field]:
        fields: list[Field] = []
        at, end, size = 0, len(block), 0
        while at < end:
            first = block[at]
            if first & 0x80:
                number, at = (first & 0x7F, at + 1) if first != 0xFF else _read(block, at, 7)
                field = self._field(number)
            elif first & 0xE0 == 0x20:
                if fields:
                    raise HpackError("a change of the table's size behind fields")
                number, at = _read(block, at, 5)
                self._resize(number)
                continue
            else:
                field, at = self._literal(block, at, first)
            fields.append(field)
            size += len(field[0]) + len(field[1]) + ENTRY_BYTES
            if size > self.list_bytes_max:
                raise HeadTooLarge(f"request header fields are larger than {self.list_bytes_max}")
        return fields

    def _field(self, number: int) -> Field:
        try:
            if number > _STATIC_COUNT:
                return self._table[number - _STATIC_COUNT - 1]
            if number > 0:
                return STATIC[number - 1]
        except IndexError:
            pass
        raise HpackError(f"no field has the number {number}")

    def _literal(self, block: bytes, at: int, first: int) -> tuple[Field, int]:
        is_kept = bool(first & 0x40)
        number, at = _read(block, at, 6 if is_kept else 4)
        if number:
            name = self._field(number)[0]
        else:
            name, at = _text(block, at)
        value, at = _text(block, at)
        field = (name, value)
        if is_kept:
            self._keep(field)
        return field, at

    def _keep(self, field: Field) -> None:
        self.generation += 1
        self._table.appendleft(field)
        self._bytes += len(field[0]) + len(field[1]) + ENTRY_BYTES
        self._evict()

    def _resize(self, size: int) -> None:
        if size > TABLE_BYTES_MAX:
            raise HpackError(f"a table of {size} bytes, {TABLE_BYTES_MAX} are allowed")
        self.generation += 1
        self._bytes_max = size
        self._evict()

    def _evict(self) -> None:
        while self._bytes > self._bytes_max:
            name, value = self._table.pop()
            self._bytes -= len(name) + len(value) + ENTRY_BYTES


def encode(field: Field) -> bytes:
    """A field as any decoder reads it: nothing goes into a table, no Huffman codes.

    In Python both cost more time than their bytes are worth on the way to or from an API server.
    """
    name, value = field
    if number := _WHOLE.get(field):
        return bytes((0x80 | number,))
    if number := _NUMBERS.get(name):
        return integer(number, 4) + integer(len(value), 7) + value
    return b"\0" + integer(len(name), 7) + name + integer(len(value), 7) + value


def integer(number: int, bits: int) -> bytes:
    """Section 5.1; the bits before the prefix are zero."""
    most = (1 << bits) - 1
    if number < most:
        return bytes((number,))
    out = bytearray((most,))
    number -= most
    while number >= 128:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _read(block: bytes, at: int, bits: int) -> tuple[int, int]:
    """The number that begins there, and where it ends."""
    most = (1 << bits) - 1
    number = block[at] & most
    at += 1
    if number < most:
        return number, at
    for shift in range(0, 7 * _INTEGER_BYTES_MAX, 7):
        if at >= len(block):
            break
        byte = block[at]
        at += 1
        number += (byte & 127) << shift
        if byte < 128:
            return number, at
    raise HpackError("a number without an end")


_texts: dict[bytes, bytes] = {}


def _text(block: bytes, at: int) -> tuple[bytes, int]:
    if at >= len(block):
        raise HpackError("a field without an end")
    is_coded = block[at] & 0x80
    size, at = _read(block, at, 7)
    end = at + size
    if end > len(block):
        raise HpackError("a field without an end")
    raw = block[at:end]
    if not is_coded:
        return raw, end
    text = _texts.get(raw)
    return (_decoded(raw) if text is None else text), end


def _decoded(raw: bytes) -> bytes:
    from hpack.exceptions import HPACKDecodingError  # Our own components send no such codes.
    from hpack.huffman_table import decode_huffman

    try:
        text = bytes(decode_huffman(raw))
    except HPACKDecodingError as error:
        raise HpackError(f"no Huffman code: {error}") from error
    if len(raw) <= _TEXT_BYTES_MAX:
        if len(_texts) >= _TEXTS_MAX:
            _texts.clear()
        _texts[raw] = text
    return text
