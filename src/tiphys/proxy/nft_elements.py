"""Set elements as nfnetlink messages: changed without reading the ruleset first. Pure.

    batch begin, { DELSETELEM | NEWSETELEM }*, batch end   one transaction: all or nothing

    each part of a concatenated key or value is padded to 4 bytes; ports and addresses are
    big-endian, the random index is in the machine's order

Source: linux/netfilter/nf_tables.h, nfnetlink.h.
"""

import socket
import struct
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from tiphys.lib.netlink.message import (
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_REQUEST,
    attribute,
    message,
    nested,
    text,
)
from tiphys.proxy.layout import Changes, Element, Value

_SUBSYSTEM: Final = 10  # NFNL_SUBSYS_NFTABLES
_BATCH_BEGIN, _BATCH_END = 16, 17
_NEW, _DELETE = _SUBSYSTEM << 8 | 12, _SUBSYSTEM << 8 | 14
_LIST_TABLE, _LIST_SET, _LIST_ELEMENTS, _LIST_ELEMENT = 1, 2, 3, 1
_KEY, _DATA, _DATA_VALUE, _DATA_VERDICT, _VERDICT_CODE, _VERDICT_CHAIN = 1, 2, 1, 2, 1, 2
_GOTO: Final = -4  # NFT_GOTO
_PROTOCOLS: Final = {"tcp": 6, "udp": 17}
ELEMENTS_PER_MESSAGE_MAX: Final = 200  # A nested attribute holds 64 KiB.
# Sets whose last key part is the random index.
INDEXED: Final = frozenset({"endpoints", "node-port-endpoints"})


def batch(table: str, changes: Changes, first_sequence: int) -> tuple[bytes, int]:
    """The transaction's bytes and the sequence number of its last acknowledged message."""
    parts = [_framing(_BATCH_BEGIN, first_sequence)]
    sequence = first_sequence
    for kind, flags, elements in (
        (_DELETE, 0, changes.delete),
        (_NEW, NLM_F_CREATE, changes.add),
    ):
        for name, group in _grouped(elements):
            sequence += 1
            payload = struct.pack(">BBH", socket.AF_INET, 0, 0)
            payload += text(_LIST_TABLE, table) + text(_LIST_SET, name)
            payload += nested(
                _LIST_ELEMENTS,
                *[_element(e, with_value=kind == _NEW or e.value is None) for e in group],
            )
            parts.append(message(kind, NLM_F_REQUEST | NLM_F_ACK | flags, sequence, payload))
    parts.append(_framing(_BATCH_END, sequence + 1))
    return b"".join(parts), sequence


def _framing(kind: int, sequence: int) -> bytes:
    payload = struct.pack(">BBH", socket.AF_UNSPEC, 0, _SUBSYSTEM)
    return message(kind, NLM_F_REQUEST, sequence, payload)


def _grouped(elements: Iterable[Element]) -> Iterable[tuple[str, list[Element]]]:
    by_set: dict[str, list[Element]] = {}
    for element in elements:
        by_set.setdefault(element.set_name, []).append(element)
    for name, group in by_set.items():
        rest = iter(group)
        while chunk := list(islice(rest, ELEMENTS_PER_MESSAGE_MAX)):
            yield name, chunk


def _element(element: Element, *, with_value: bool) -> bytes:
    key = nested(_KEY, attribute(_DATA_VALUE, key_bytes(element.set_name, element.key)))
    value = _value(element.value) if with_value and element.value is not None else b""
    return nested(_LIST_ELEMENT, key, value)


def _value(value: Value) -> bytes:
    if isinstance(value, str):
        verdict = attribute(_VERDICT_CODE, struct.pack(">i", _GOTO)) + text(_VERDICT_CHAIN, value)
        return nested(_DATA, nested(_DATA_VERDICT, verdict))
    assert value is not None
    return nested(_DATA, attribute(_DATA_VALUE, b"".join(_part(p) for p in value)))


def key_bytes(set_name: str, key: Sequence[str | int]) -> bytes:
    """A key's parts, each padded to 4 bytes."""
    parts = [_part(p) for p in key]
    if set_name in INDEXED:
        parts[-1] = struct.pack("=I", key[-1])
    return b"".join(parts)


def _part(part: str | int) -> bytes:
    if isinstance(part, int):
        return struct.pack(">HH", part, 0)
    if part in _PROTOCOLS:
        return bytes([_PROTOCOLS[part], 0, 0, 0])
    return socket.inet_aton(part)
