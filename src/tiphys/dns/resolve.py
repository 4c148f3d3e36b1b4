"""A query and a zone to an answer. Pure; None means: ask somebody else.

Upstream: CoreDNS core/dnsserver/server.go (classes), plugin/kubernetes/handler.go (types).
"""

from typing import Final

from tiphys.dns.packet import (
    AAAA,
    BADVERS,
    CLASS_IN,
    CNAME,
    NOERROR,
    NS,
    NXDOMAIN,
    REFUSED,
    SRV,
    A,
    Query,
    Record,
    write_answer,
)
from tiphys.dns.zone import Zone

ALIASES_MAX: Final = (
    8  # CoreDNS plugin/backend_lookup.go: maxCnameChainLength is 10, glibc takes 16.
)


def answer(query: Query, zone: Zone, *, tcp: bool, turn: int = 0) -> bytes | None:
    """The answer's bytes, or None when somebody else must be asked.

    turn rotates the addresses, so that clients which take the first one spread.
    """
    limit = None if tcp else query.udp_bytes_max
    if query.edns_version:
        return write_answer(query, BADVERS, authoritative=False)
    if query.cls != CLASS_IN:
        return write_answer(query, REFUSED, authoritative=False)
    if not zone.owns(query.name):
        return None
    aliases, foreign = follow(query, zone)
    if foreign:
        return None
    name = str(aliases[-1].data).lower() if aliases else query.name
    records, exists = zone.lookup(name, query.type)
    if not records and not aliases:
        code = NOERROR if exists else NXDOMAIN
        return write_answer(query, code, authorities=[zone.soa], bytes_max=limit)
    cut = turn % len(records) if records else 0
    ordered = [*records[cut:], *records[:cut]]
    return write_answer(
        query, NOERROR, [*aliases, *ordered], additionals=_glue(zone, ordered), bytes_max=limit
    )


def follow(query: Query, zone: Zone) -> tuple[list[Record], str]:
    """The names that a name stands for (ExternalName Services), and the one that is not ours."""
    aliases: list[Record] = []
    name = query.name
    while len(aliases) < ALIASES_MAX and query.type != CNAME:
        if not zone.owns(name):
            return aliases, name
        found, _ = zone.lookup(name, CNAME)
        if not found:
            break
        aliases += found[:1]
        name = str(found[0].data).lower()
    return aliases, ""


def _glue(zone: Zone, records: list[Record]) -> list[Record]:
    """The addresses of the names that SRV and NS records tell."""
    glue: dict[Record, None] = {}
    for record in records:
        if record.type == SRV and isinstance(record.data, tuple):
            target = str(record.data[3])
        elif record.type == NS:
            target = str(record.data)
        else:
            continue
        for kind in (A, AAAA):
            glue |= dict.fromkeys(zone.lookup(target, kind)[0])
    return list(glue)
