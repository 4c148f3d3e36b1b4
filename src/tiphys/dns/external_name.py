"""Answers for ExternalName Services: our alias with what an upstream says of its target. Pure.

Source: the Kubernetes DNS schema 2.5; RFC 6604 (the code is that of the last name).
"""

import socket
import struct
from collections.abc import Sequence

from tiphys.dns.packet import AAAA, CNAME, A, FormatError, Query, Record, read_name, write_answer


def query_for(query: Query, target: str) -> bytes:
    """The bytes that ask an upstream for the target, with recursion and without EDNS0."""
    asked = Query(query.id, target, target, query.type, query.cls, True, 512, False)
    data = bytearray(write_answer(asked, 0, authoritative=False))
    data[2:4] = b"\x01\x00"
    return bytes(data)


def alias_answer(
    query: Query, aliases: Sequence[Record], target: str, found: bytes, *, tcp: bool
) -> bytes:
    """aliases lead from the query's name to target; found is the upstream's answer for target."""
    records = [*aliases, *addresses_in(found, target)]
    limit = None if tcp else query.udp_bytes_max
    code = found[3] & 0xF if len(found) > 3 else 0
    return write_answer(query, code, records, bytes_max=limit)


def addresses_in(data: bytes, name: str) -> list[Record]:
    """The A, AAAA and CNAME records of an upstream's answer. What cannot be read is left out."""
    found: list[Record] = []
    try:
        count = struct.unpack_from(">H", data, 6)[0]
        _, offset = read_name(data, 12)
        offset += 4
        for _ in range(count):
            owner, offset = read_name(data, offset)
            kind, _, ttl, length = struct.unpack_from(">HHIH", data, offset)
            offset += 10
            if kind in (A, AAAA):
                family = socket.AF_INET if kind == A else socket.AF_INET6
                address = socket.inet_ntop(family, data[offset : offset + length])
                found.append(Record(owner or name, kind, ttl, address))
            elif kind == CNAME:
                found.append(Record(owner, kind, ttl, read_name(data, offset)[0]))
            offset += length
    except (FormatError, struct.error, ValueError):
        return found
    return found
