"""Answers of upstreams, for as long as their records live.

A hit repeats the question as it was asked (id, letter case) and tells how long each record has
left. Bounds and life times as kubeadm's Corefile has them (`cache 30`).
Upstream: CoreDNS plugin/cache.
"""

import struct
from collections import OrderedDict
from typing import Final, NamedTuple

from tiphys.dns.packet import NOERROR, NXDOMAIN, OPT, SOA, FormatError, read_name

ENTRIES_MAX: Final = 9984  # CoreDNS cache defaultCap.
BYTES_MAX: Final = 8 << 20  # Of all answers; ours: CoreDNS counts entries only.
SECONDS_MAX: Final = 30  # kubeadm's Corefile.
_SECONDS_MIN: Final = 5  # CoreDNS cache minTTL and minNTTL.
_HEADER_BYTES: Final = 12
_TYPE_BYTES: Final = 4  # Type and class, at the question's end.
_TC: Final = 0x0200


class _Kept(NamedTuple):
    answer: bytes
    ttl_offsets: tuple[int, ...]
    since: float
    until: float


class AnswerCache:
    def __init__(self, entries_max: int = ENTRIES_MAX, bytes_max: int = BYTES_MAX) -> None:
        self._entries_max = entries_max
        self._bytes_max = bytes_max
        self._bytes = 0
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, query: bytes, question_end: int, now: float, *, tcp: bool) -> bytes | None:
        """An answer to the query, or None. question_end: where its question ends."""
        key = _key(query, question_end, tcp=tcp)
        kept = self._kept.get(key)
        if kept is None:
            return None
        if now >= kept.until:
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        found = bytearray(kept.answer)
        found[:2] = query[:2]
        found[_HEADER_BYTES:question_end] = query[_HEADER_BYTES:question_end]
        aged = int(now - kept.since)
        for offset in kept.ttl_offsets if aged else ():
            (ttl,) = struct.unpack_from(">I", found, offset)
            struct.pack_into(">I", found, offset, max(ttl - aged, 0))
        return bytes(found)

    def put(self, query: bytes, question_end: int, answer: bytes, now: float, *, tcp: bool) -> None:
        """Keep an answer, unless it is cut, an error, or cannot be read."""
        seconds, offsets = lifetime(answer)
        if seconds <= 0:
            return
        key = _key(query, question_end, tcp=tcp)
        self._drop(key)
        self._kept[key] = _Kept(answer, offsets, now, now + seconds)
        self._bytes += len(answer)
        while len(self._kept) > self._entries_max or self._bytes > self._bytes_max:
            self._drop(next(iter(self._kept)))

    def clear(self) -> None:
        self._kept.clear()
        self._bytes = 0

    def _drop(self, key: bytes) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= len(kept.answer)


def _key(query: bytes, question_end: int, *, tcp: bool) -> bytes:
    """Everything but the id; what follows the question (EDNS0) changes the answer."""
    name = query[_HEADER_BYTES : question_end - _TYPE_BYTES].lower()
    rest = query[question_end - _TYPE_BYTES :]
    return b"".join((b"t" if tcp else b"u", query[2:_HEADER_BYTES], name, rest))


def lifetime(answer: bytes) -> tuple[float, tuple[int, ...]]:
    """For how many seconds an answer holds, and where its records' life times stand. Pure.

    0 for what must not be kept. That a name or type is not there holds as long as the SOA record
    says (RFC 2308 section 5); without one it is not kept.
    """
    try:
        _, flags, questions, *counts = struct.unpack_from(">HHHHHH", answer)
        if flags & 0xF not in (NOERROR, NXDOMAIN) or flags & _TC or questions != 1:
            return 0, ()
        _, offset = read_name(answer, _HEADER_BYTES)
        offset += 4
        shortest, offsets, negative = float(SECONDS_MAX), [], None
        for number in range(sum(counts)):
            _, offset = read_name(answer, offset)
            kind, _, ttl, length = struct.unpack_from(">HHIH", answer, offset)
            if kind != OPT:
                offsets.append(offset + 4)
                shortest = min(shortest, ttl)
            offset += 10 + length
            if kind == SOA and counts[0] <= number < counts[0] + counts[1]:
                negative = min(ttl, struct.unpack_from(">I", answer, offset - 4)[0])
    except (FormatError, struct.error):
        return 0, ()
    if counts[0] == 0 or flags & 0xF == NXDOMAIN:
        if negative is None:
            return 0, ()
        shortest = min(shortest, negative)
    return max(shortest, _SECONDS_MIN), tuple(offsets)
