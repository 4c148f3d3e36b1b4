"""SPDY/3.1 framing without I/O, as far as remote command and port-forward clients use it.

    control  |1| version(15) | type(16) |  flags(8) | length(24) | payload
    data     |0| stream id(31)          |  flags(8) | length(24) | payload

Header blocks share one zlib stream per direction, started with the dictionary of the
specification. Flow-control windows are not kept: the Go library on the other side neither sends
WINDOW_UPDATE nor waits for it; back-pressure is TCP's.
Source: https://www.chromium.org/spdy/spdy-protocol/spdy-protocol-draft3-1/
"""

import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

VERSION: Final = 3
SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = (
    1,
    2,
    3,
    4,
    6,
    7,
    8,
    9,
)
FLAG_FIN: Final = 0x01
FLAG_UNIDIRECTIONAL: Final = 0x02

# RST_STREAM status codes, section 2.6.3.
PROTOCOL_ERROR, INVALID_STREAM, REFUSED_STREAM, UNSUPPORTED_VERSION, CANCEL = 1, 2, 3, 4, 5

CONTROL_BYTES_MAX: Final = 64 * 1024  # Header blocks of ours are a few hundred bytes.
HEADER_BLOCK_BYTES_MAX: Final = 64 * 1024  # Unpacked: a zlib bomb ends here.
HEADERS_MAX: Final = 256
DATA_BYTES_MAX: Final = 32 * 1024  # What we put into one DATA frame; Go copies 32 KB at a time.

_WORDS: Final = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language "
    "accept-ranges age allow authorization cache-control connection content-base content-encoding "
    "content-language content-length content-location content-md5 content-range content-type date "
    "etag expect expires from host if-match if-modified-since if-none-match if-range "
    "if-unmodified-since last-modified location max-forwards pragma proxy-authenticate "
    "proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url "
    "public set-cookie keep-alive origin"
)
_TAIL: Final = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request"
    "401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented"
    "503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 "
    "Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,"
    "application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,"
    "deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY: Final = (
    b"".join(
        struct.pack(">I", len(word)) + word.replace("_", " ").encode() for word in _WORDS.split()
    )
    + _TAIL.encode()
)
"""Section 2.6.10.1: each word behind its length, then the tail; its Adler-32 is e3c6a7c2."""


class SpdyError(Exception):
    """The peer broke the protocol: nothing more can be read from it."""


@dataclass(frozen=True, slots=True)
class SynStream:
    """A new stream. Header names are lower case; repeated values are joined with a comma."""

    stream_id: int
    headers: dict[str, str] = field(default_factory=dict)
    fin: bool = False
    unidirectional: bool = False


@dataclass(frozen=True, slots=True)
class SynReply:
    stream_id: int
    headers: dict[str, str] = field(default_factory=dict)
    fin: bool = False


@dataclass(frozen=True, slots=True)
class Data:
    stream_id: int
    data: bytes
    fin: bool = False


@dataclass(frozen=True, slots=True)
class RstStream:
    stream_id: int
    status: int


@dataclass(frozen=True, slots=True)
class Ping:
    ping_id: int


@dataclass(frozen=True, slots=True)
class GoAway:
    last_stream_id: int
    status: int


@dataclass(frozen=True, slots=True)
class MoreHeaders:
    stream_id: int
    headers: dict[str, str]
    fin: bool = False


@dataclass(frozen=True, slots=True)
class WindowUpdate:
    stream_id: int  # 0 is the whole session.
    delta: int


Frame: TypeAlias = (
    SynStream | SynReply | Data | RstStream | Ping | GoAway | MoreHeaders | WindowUpdate
)


class FrameReader:
    """Bytes in, frames out. SETTINGS and unknown control frames are passed over."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)

    def receive(self, data: bytes) -> list[Frame]:
        """The frames that are complete now. Raises SpdyError."""
        self._buffer += data
        buffer = self._buffer
        frames: list[Frame] = []
        at = 0
        while len(buffer) - at >= 8:
            first, rest = struct.unpack_from(">II", buffer, at)
            size = rest & 0xFFFFFF
            if first >> 31 and size > CONTROL_BYTES_MAX:
                raise SpdyError(f"a control frame has {size} bytes")
            if len(buffer) - at - 8 < size:
                break
            payload = bytes(buffer[at + 8 : at + 8 + size])
            at += 8 + size
            frame = self._frame(first, rest >> 24, payload)
            if frame is not None:
                frames.append(frame)
        del buffer[:at]
        return frames

    def _frame(self, first: int, flags: int, payload: bytes) -> Frame | None:
        fin = bool(flags & FLAG_FIN)
        if not first >> 31:
            return Data(first, payload, fin)
        version, kind = first >> 16 & 0x7FFF, first & 0xFFFF
        if version != VERSION:
            raise SpdyError(f"a frame has version {version}")
        try:
            return self._control(kind, flags, payload, fin=fin)
        except struct.error as exc:
            raise SpdyError(f"a frame of type {kind} is cut short") from exc

    def _control(self, kind: int, flags: int, payload: bytes, *, fin: bool) -> Frame | None:
        if kind == SYN_STREAM:
            stream_id, _associated, _priority = struct.unpack_from(">IIH", payload)
            one_way = bool(flags & FLAG_UNIDIRECTIONAL)
            return SynStream(stream_id & 0x7FFFFFFF, self._headers(payload[10:]), fin, one_way)
        if kind == PING:
            return Ping(*struct.unpack(">I", payload))
        stream_id, second = struct.unpack(">II", payload.ljust(8, b"\0")[:8])
        stream_id &= 0x7FFFFFFF
        if kind in (SYN_REPLY, HEADERS):
            headers = self._headers(payload[4:])
            cls = SynReply if kind == SYN_REPLY else MoreHeaders
            return cls(stream_id, headers, fin)
        if kind == RST_STREAM:
            return RstStream(stream_id, second)
        if kind == GOAWAY:
            return GoAway(stream_id, second)
        if kind == WINDOW_UPDATE:
            return WindowUpdate(stream_id, second & 0x7FFFFFFF)
        return None

    def _headers(self, block: bytes) -> dict[str, str]:
        try:
            data = self._inflate.decompress(block, HEADER_BLOCK_BYTES_MAX)
        except zlib.error as exc:
            raise SpdyError(f"a header block cannot be unpacked: {exc}") from exc
        if self._inflate.unconsumed_tail:
            raise SpdyError("a header block is too large")
        return parse_headers(data)


def parse_headers(data: bytes) -> dict[str, str]:
    """An unpacked header block: a count, then names and values behind their lengths."""
    texts: list[str] = []
    try:
        (count,) = struct.unpack_from(">I", data)
        if count > HEADERS_MAX:
            raise SpdyError(f"a header block has {count} headers")
        at = 4
        for _ in range(2 * count):
            (size,) = struct.unpack_from(">I", data, at)
            at += 4 + size
            if at > len(data):
                raise SpdyError("a header block is cut short")
            texts.append(data[at - size : at].decode("latin-1"))
    except struct.error as exc:
        raise SpdyError("a header block is cut short") from exc
    values = (text.replace("\0", ",") for text in texts[1::2])
    return dict(zip(map(str.lower, texts[::2]), values, strict=True))


class FrameWriter:
    """Frames as bytes. Send them in the order they were made: header blocks build on another."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(wbits=15, zdict=DICTIONARY)

    def syn_stream(
        self, stream_id: int, headers: Mapping[str, str], *, fin: bool = False, priority: int = 0
    ) -> bytes:
        head = struct.pack(">IIH", stream_id, 0, priority << 13)
        return _control(SYN_STREAM, fin, head + self._block(headers.items()))

    def syn_reply(
        self, stream_id: int, headers: Mapping[str, str] | None = None, *, fin: bool = False
    ) -> bytes:
        block = self._block((headers or {}).items())
        return _control(SYN_REPLY, fin, struct.pack(">I", stream_id) + block)

    def data(self, stream_id: int, data: bytes | memoryview, *, fin: bool = False) -> bytes:
        """Any amount of data in frames of at most DATA_BYTES_MAX; empty data needs fin."""
        view = memoryview(data)
        pieces: list[bytes | memoryview] = []
        for start in range(0, len(view) or 1, DATA_BYTES_MAX):
            piece = view[start : start + DATA_BYTES_MAX]
            last = fin and start + DATA_BYTES_MAX >= len(view)
            pieces.append(
                struct.pack(">II", stream_id, (FLAG_FIN << 24 if last else 0) | len(piece))
            )
            pieces.append(piece)
        return b"".join(pieces)

    def rst_stream(self, stream_id: int, status: int) -> bytes:
        return _control(RST_STREAM, False, struct.pack(">II", stream_id, status))

    def ping(self, ping_id: int) -> bytes:
        return _control(PING, False, struct.pack(">I", ping_id))

    def goaway(self, last_stream_id: int, status: int = 0) -> bytes:
        return _control(GOAWAY, False, struct.pack(">II", last_stream_id, status))

    def window_update(self, stream_id: int, delta: int) -> bytes:
        return _control(WINDOW_UPDATE, False, struct.pack(">II", stream_id, delta))

    def settings(self, entries: Mapping[int, int]) -> bytes:
        body = b"".join(struct.pack(">II", key, value) for key, value in entries.items())
        return _control(SETTINGS, False, struct.pack(">I", len(entries)) + body)

    def _block(self, headers: Iterable[tuple[str, str]]) -> bytes:
        texts = [text.encode("latin-1") for pair in headers for text in (pair[0].lower(), pair[1])]
        data = struct.pack(">I", len(texts) // 2)
        data += b"".join(struct.pack(">I", len(text)) + text for text in texts)
        return self._deflate.compress(data) + self._deflate.flush(zlib.Z_SYNC_FLUSH)


def _control(kind: int, fin: bool, payload: bytes) -> bytes:
    flags = FLAG_FIN if fin else 0
    head = struct.pack(">HHI", 0x8000 | VERSION, kind, flags << 24 | len(payload))
    return head + payload
