"""A query and a zone to an answer. Pure; None means: ask somebody else."""

from tiphys.dns.packet import (
    AAAA,
    ANY,
    CLASS_IN,
    CNAME,
    NOERROR,
    NOTIMP,
    NXDOMAIN,
    SRV,
    A,
    Query,
    Record,
    write_answer,
)
from tiphys.dns.zone import Zone


def answer(query: Query, zone: Zone, *, tcp: bool, turn: int = 0) -> bytes | None:
    """The answer's bytes, or None when the name is not ours.

    turn rotates the addresses, so that clients which take the first one spread.
    """
    if query.cls != CLASS_IN or not zone.owns(query.name):
        return None
    limit = None if tcp else query.udp_bytes_max
    if query.type == ANY:
        return write_answer(query, NOTIMP, bytes_max=limit)
    records, exists = zone.lookup(query.name, query.type)
    if records and records[0].type == CNAME and query.type != CNAME:
        return None if not zone.owns(str(records[0].data)) else _alias(query, zone, records, limit)
    if not records:
        code = NOERROR if exists else NXDOMAIN
        return write_answer(query, code, authorities=[zone.soa], bytes_max=limit)
    cut = turn % len(records)
    ordered = [*records[cut:], *records[:cut]]
    return write_answer(query, NOERROR, ordered, additionals=_glue(zone, ordered), bytes_max=limit)


def _alias(query: Query, zone: Zone, alias: list[Record], limit: int | None) -> bytes:
    """A name for another name of ours: both in one answer."""
    target, _ = zone.lookup(str(alias[0].data).lower(), query.type)
    return write_answer(query, NOERROR, [*alias, *target], bytes_max=limit)


def external_alias(query: Query, zone: Zone) -> Record | None:
    """The CNAME of an ExternalName Service whose target somebody else must resolve."""
    if not zone.owns(query.name):
        return None
    records, _ = zone.lookup(query.name, query.type)
    found = records[0] if records and records[0].type == CNAME else None
    return found if found is not None and not zone.owns(str(found.data)) else None


def _glue(zone: Zone, records: list[Record]) -> list[Record]:
    """The addresses of SRV targets."""
    glue: list[Record] = []
    for record in records:
        if record.type == SRV and isinstance(record.data, tuple):
            for kind in (A, AAAA):
                found, _ = zone.lookup(str(record.data[3]), kind)
                glue += [r for r in found if r not in glue]
    return glue
