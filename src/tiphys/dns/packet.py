"""DNS messages as bytes: parsing queries, writing answers with name compression. Pure.

    header: u16 id, u16 flags, u16 questions, u16 answers, u16 authorities, u16 additionals
    question: name, u16 type, u16 class
    record: name, u16 type, u16 class, u32 ttl, u16 length, data

Sources: RFC 1035, RFC 2782 (SRV), RFC 6891 (EDNS0).
"""

import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

A, NS, CNAME, SOA, PTR, TXT, AAAA, SRV, OPT, ANY = 1, 2, 5, 6, 12, 16, 28, 33, 41, 255
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, BADVERS = 0, 1, 2, 3, 4, 5, 16
CLASS_IN: Final = 1
UDP_BYTES_WITHOUT_EDNS: Final = 512  # RFC 1035 2.3.4
UDP_BYTES_MAX: Final = 1232  # dnsflagday.net 2020: never fragmented.
NAME_BYTES_MAX: Final = 255
_LABEL_BYTES_MAX: Final = 63
_HEADER: Final = struct.Struct(">HHHHHH")
_QR, _AA, _TC, _RD, _RA = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080
_OPCODE: Final = 0x7800
_DO: Final = 0x8000  # RFC 3225: the client takes signatures; repeated in the answer.
_OPT_BYTES: Final = 11
_POINTERS_MAX: Final = 0x3FFF


class FormatError(ValueError):
    """The bytes are no DNS query that we can read; code is what its sender is told."""

    code = FORMERR


class NotImplementedQuery(FormatError):
    """A kind of query that we do not know: notify, update."""

    code = NOTIMP


@dataclass(frozen=True, slots=True)
class Query:
    id: int
    name: str  # lower case, without the final dot
    raw_name: str  # as asked: answers repeat its case
    type: int
    cls: int
    recursion_desired: bool
    udp_bytes_max: int
    edns: bool
    edns_version: int = 0
    dnssec_ok: bool = False


class Record(NamedTuple):
    """data: an address (A, AAAA), a name (CNAME, PTR), (priority, weight, port, name) for SRV."""

    name: str
    type: int
    ttl: int
    data: "str | tuple[int, int, int, str] | Soa"


class _Edns(NamedTuple):
    udp_bytes_max: int = UDP_BYTES_WITHOUT_EDNS
    spoken: bool = False
    version: int = 0
    dnssec_ok: bool = False


class Soa(NamedTuple):
    server: str
    mailbox: str
    serial: int
    refresh: int
    retry: int
    expire: int
    minimum: int


def parse_query(data: bytes) -> Query:
    """The one question of a query. Raises FormatError."""
    if len(data) < _HEADER.size:
        raise FormatError("shorter than a header")
    ident, flags, questions, answers, authorities, additionals = _HEADER.unpack_from(data)
    if flags & _QR:
        raise FormatError("an answer, not a query")
    if flags >> 11 & 0xF:
        raise NotImplementedQuery("not a standard query")
    if questions != 1:
        raise FormatError(f"{questions} questions")
    raw, offset = read_name(data, _HEADER.size)
    if offset + 4 > len(data):
        raise FormatError("the question is cut off")
    kind, cls = struct.unpack_from(">HH", data, offset)
    edns = _edns(data, offset + 4, answers + authorities, additionals)
    return Query(ident, raw.lower(), raw, kind, cls, bool(flags & _RD), *edns)


def _edns(data: bytes, offset: int, before: int, additionals: int) -> _Edns:
    """What the client says of itself. Raises FormatError, also for a second one (RFC 6891 6.1.1).

    before: records that stand ahead of the additional ones; queries have none as a rule.
    """
    found = _Edns()
    for number in range(before + additionals):
        _, offset = read_name(data, offset)
        if offset + 10 > len(data):
            raise FormatError("a record is cut off")
        kind, cls, ttl, length = struct.unpack_from(">HHIH", data, offset)
        offset += 10 + length
        if offset > len(data):
            raise FormatError("a record is cut off")
        if kind != OPT or number < before:
            continue
        if found.spoken:
            raise FormatError("two OPT records")
        size = min(max(cls, UDP_BYTES_WITHOUT_EDNS), UDP_BYTES_MAX)
        found = _Edns(size, True, ttl >> 16 & 0xFF, bool(ttl & _DO))
    return found


def read_name(data: bytes, offset: int) -> tuple[str, int]:
    """A name and where it ends. Pointers go backwards only. Raises FormatError."""
    labels: list[str] = []
    end = -1
    size = 0
    limit = offset
    while True:
        if offset >= len(data):
            raise FormatError("a name is cut off")
        length = data[offset]
        if length & 0xC0 == 0xC0:
            if offset + 2 > len(data):
                raise FormatError("a pointer is cut off")
            target = (length & 0x3F) << 8 | data[offset + 1]
            if target >= limit:
                raise FormatError("a pointer that does not go back")
            end = offset + 2 if end < 0 else end
            offset = limit = target
            continue
        if length > _LABEL_BYTES_MAX:
            raise FormatError("a label of a kind that does not exist")
        if length == 0:
            return ".".join(labels), end if end >= 0 else offset + 1
        size += length + 1
        if size > NAME_BYTES_MAX or offset + 1 + length > len(data):
            raise FormatError("a name that is too long or cut off")
        labels.append(data[offset + 1 : offset + 1 + length].decode("latin-1"))
        offset += 1 + length


class _Writer:
    def __init__(self) -> None:
        self.out = bytearray(_HEADER.size)
        self._names: dict[str, int] = {}

    def name(self, name: str) -> None:
        rest = name.rstrip(".")
        while rest:
            known = self._names.get(rest.lower())
            if known is not None:
                self.out += struct.pack(">H", 0xC000 | known)
                return
            if len(self.out) <= _POINTERS_MAX:
                self._names[rest.lower()] = len(self.out)
            label, _, rest = rest.partition(".")
            encoded = label.encode("latin-1")
            self.out += bytes([len(encoded)]) + encoded
        self.out += b"\0"

    def cut(self, end: int) -> None:
        """Take back what was written from there on."""
        del self.out[end:]
        self._names = {name: at for name, at in self._names.items() if at < end}

    def record(self, record: Record) -> None:
        self.name(record.name)
        self.out += struct.pack(">HHI", record.type, CLASS_IN, record.ttl)
        at = len(self.out)
        self.out += b"\0\0"
        self._data(record)
        struct.pack_into(">H", self.out, at, len(self.out) - at - 2)

    def _data(self, record: Record) -> None:
        data = record.data
        if isinstance(data, Soa):
            self.name(data.server)
            self.name(data.mailbox)
            self.out += struct.pack(">IIIII", *data[2:])
        elif isinstance(data, tuple):
            self.out += struct.pack(">HHH", *data[:3])
            # RFC 2782: no compression in the target.
            for label in data[3].split("."):
                self.out += bytes([len(label)]) + label.encode("latin-1")
            self.out += b"\0"
        elif record.type == A:
            self.out += socket.inet_pton(socket.AF_INET, data)
        elif record.type == AAAA:
            self.out += socket.inet_pton(socket.AF_INET6, data)
        elif record.type == TXT:
            encoded = data.encode()
            self.out += bytes([len(encoded)]) + encoded
        else:
            self.name(data)


def write_answer(
    query: Query,
    code: int,
    answers: Sequence[Record] = (),
    authorities: Sequence[Record] = (),
    additionals: Sequence[Record] = (),
    *,
    bytes_max: int | None = None,
    authoritative: bool = True,
) -> bytes:
    """The answer's bytes, with as many records as fit into bytes_max.

    Without some of the answers it says so (TC), and the client asks again over TCP. Some C
    libraries never do: they take what came. Additional records may be missing without a word
    (RFC 2181 section 9).
    """
    writer = _Writer()
    writer.name(query.raw_name)
    writer.out += struct.pack(">HH", query.type, query.cls)
    limit = None if bytes_max is None else bytes_max - (_OPT_BYTES if query.edns else 0)
    counts = [1, 0, 0, 0]
    truncated = False
    for section, records in ((1, answers), (2, authorities), (3, additionals)):
        counts[section] = 0 if truncated else _fitting(writer, records, limit)
        truncated |= section < 3 and counts[section] < len(records)
    flags = _QR | (_AA if authoritative else 0) | (_RD if query.recursion_desired else 0)
    flags |= _RA | (_TC if truncated else 0) | code & 0xF
    if query.edns:
        extended = code >> 4 << 24 | (_DO if query.dnssec_ok else 0)
        writer.out += b"\0" + struct.pack(">HHIH", OPT, UDP_BYTES_MAX, extended, 0)
        counts[3] += 1
    _HEADER.pack_into(writer.out, 0, query.id, flags, *counts)
    return bytes(writer.out)


def _fitting(writer: _Writer, records: Sequence[Record], limit: int | None) -> int:
    """Write records until one does not fit; how many there are now."""
    for number, record in enumerate(records):
        end = len(writer.out)
        writer.record(record)
        if limit is not None and len(writer.out) > limit:
            writer.cut(end)
            return number
    return len(records)


def is_truncated(answer: bytes) -> bool:
    return len(answer) > 3 and bool(answer[2] << 8 & _TC)


def error_answer(data: bytes, code: int) -> bytes | None:
    """An answer to a query that could not be read; None when there is not even an id."""
    if len(data) < _HEADER.size or data[2] & 0x80:
        return None
    ident, flags = struct.unpack_from(">HH", data)
    return _HEADER.pack(ident, _QR | flags & (_OPCODE | _RD) | _RA | code, 0, 0, 0, 0)
