"""Set elements as nfnetlink messages: changed without reading the ruleset first. Pure.

    batch begin, { DELSETELEM | NEWSETELEM }*, batch end   one transaction: all or nothing

    each part of a concatenated key or value is padded to 4 bytes; ports and addresses are
    big-endian, the random index is in the machine's order; a network is its first and last address

Source: linux/netfilter/nf_tables.h, nfnetlink.h.
"""

import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Final, TypeVar, cast

from tiphys.lib.netlink.message import (
    NLA_F_NESTED,
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_REQUEST,
    attribute,
    attributes,
    message,
    nested,
    text,
)
from tiphys.proxy.layout import DROP, Client, Element, Key, Value
from tiphys.proxy.plan import Frontend, Target

NFNL_SUBSYS_NFTABLES: Final = 10
_BATCH_BEGIN, _BATCH_END = 16, 17
_NEW, _DELETE = NFNL_SUBSYS_NFTABLES << 8 | 12, NFNL_SUBSYS_NFTABLES << 8 | 14
GET_ELEMENTS: Final = NFNL_SUBSYS_NFTABLES << 8 | 13
_LIST_TABLE, _LIST_SET, _LIST_ELEMENTS, _LIST_ELEMENT = 1, 2, 3, 1
_KEY, _DATA, _KEY_END, _DATA_VALUE, _DATA_VERDICT, _VERDICT_CODE, _VERDICT_CHAIN = (
    *(1, 2, 10),
    *(1, 2, 1, 2),
)
_TIMEOUT, _EXPIRATION = 4, 5  # milliseconds, 64 bits, big-endian
_CLIENT_KEY: Final = struct.Struct(">4sB3x4sH2x")
_INDEX: Final = struct.Struct("=I")
_PORT: Final = struct.Struct(">H2x")
_ELEMENT_HEAD: Final = struct.Struct("=HH")
_GOTO: Final = -4  # NFT_GOTO
_NF_DROP: Final = 0
_PROTOCOLS: Final = {"tcp": 6, "udp": 17}
_PROTOCOL_PARTS: Final = {name: bytes([n, 0, 0, 0]) for name, n in _PROTOCOLS.items()}
_PROTOCOL_NAMES: Final = {number: name for name, number in _PROTOCOLS.items()}
ELEMENTS_PER_MESSAGE_MAX: Final = 200  # A nested attribute holds 64 KiB.
# Sets whose last key part is the random index.
INDEXED: Final = frozenset({"endpoints", "local-endpoints"})
# Sets whose last key part is a network.
RANGED: Final = frozenset({"allowed-sources"})

_T = TypeVar("_T")

RawElement = tuple[str, bytes, bytes]
"""A set's name, an element's key and its value (b"" for none), as the kernel has them."""


def batches(
    table: str, delete: Sequence[Element], add: Sequence[Element], first_sequence: int
) -> tuple[bytes, int]:
    """One transaction's bytes and the sequence number of its last acknowledged message."""
    groups = [
        (_DELETE, 0, name, [encoded(e, with_value=False) for e in group])
        for name, group in grouped(delete)
    ]
    for name, group in grouped(add):
        # Most elements are endpoints, and all of them have one form.
        elements = (
            [_indexed(e.key, e.value) for e in group]
            if name in INDEXED
            else [encoded(e, with_value=True) for e in group]
        )
        groups.append((_NEW, NLM_F_CREATE, name, elements))
    return _transaction(table, groups, first_sequence)


def removal(
    table: str, set_name: str, keys: Sequence[bytes], first_sequence: int
) -> tuple[bytes, int]:
    """A transaction that deletes elements by the kernel's own keys."""
    encoded_keys = [
        nested(_LIST_ELEMENT, nested(_KEY, attribute(_DATA_VALUE, key))) for key in keys
    ]
    groups = [(_DELETE, 0, set_name, chunk) for chunk in _chunks(encoded_keys)]
    return _transaction(table, groups, first_sequence)


def _transaction(
    table: str, groups: Sequence[tuple[int, int, str, list[bytes]]], first_sequence: int
) -> tuple[bytes, int]:
    parts = [_framing(_BATCH_BEGIN, first_sequence)]
    sequence = first_sequence
    for number, (kind, flags, name, elements) in enumerate(groups, 1):
        sequence += 1
        payload = set_address(table, name) + nested(_LIST_ELEMENTS, *elements)
        if number == len(groups):
            flags |= NLM_F_ACK  # One answer for all, besides those that tell what was refused.
        parts.append(message(kind, NLM_F_REQUEST | flags, sequence, payload))
    parts.append(_framing(_BATCH_END, sequence + 1))
    return b"".join(parts), sequence


def set_address(table: str, name: str) -> bytes:
    """How a message about a set begins."""
    head = struct.pack(">BBH", socket.AF_INET, 0, 0)
    return head + text(_LIST_TABLE, table) + text(_LIST_SET, name)


def _framing(kind: int, sequence: int) -> bytes:
    payload = struct.pack(">BBH", socket.AF_UNSPEC, 0, NFNL_SUBSYS_NFTABLES)
    return message(kind, NLM_F_REQUEST, sequence, payload)


def grouped(elements: Iterable[Element]) -> Iterator[tuple[str, list[Element]]]:
    """By set, in messages that fit."""
    by_set: dict[str, list[Element]] = {}
    for element in elements:
        by_set.setdefault(element.set_name, []).append(element)
    for name, group in by_set.items():
        for chunk in _chunks(group):
            yield name, chunk


def _chunks(items: Iterable[_T]) -> Iterator[list[_T]]:
    rest = iter(items)
    while chunk := list(islice(rest, ELEMENTS_PER_MESSAGE_MAX)):
        yield chunk


def _indexed(key: Key, value: Value) -> bytes:
    """What `encoded` makes of the elements of INDEXED sets, in a third of the time."""
    address, port = cast(tuple[str, int], value)
    return b"".join(
        (
            _INDEXED_HEAD,
            _parts(key[:-1]),
            _INDEX.pack(key[-1]),
            _INDEXED_VALUE_HEAD,
            socket.inet_aton(address),
            _PORT.pack(port),
        )
    )


def encoded(element: Element, *, with_value: bool) -> bytes:
    name, key, value = element
    packed = key_bytes(name, key)
    parts = _head(len(packed)) + packed
    if name in RANGED:
        last = key_bytes(name, key, last=True)
        parts += nested(_KEY_END, attribute(_DATA_VALUE, last))
    if with_value and value is not None:
        parts += _verdict(value) if isinstance(value, str) else _data(value)
    return _ELEMENT_HEAD.pack(len(parts) + 4, _LIST_ELEMENT | NLA_F_NESTED) + parts


@lru_cache
def _head(key_bytes_count: int) -> bytes:
    """What comes before a key in its element."""
    whole = nested(_KEY, attribute(_DATA_VALUE, bytes(key_bytes_count)))
    return whole[: len(whole) - key_bytes_count]


@lru_cache
def _verdict(value: str) -> bytes:
    if value == DROP:
        code = attribute(_VERDICT_CODE, struct.pack(">i", _NF_DROP))
    else:
        code = attribute(_VERDICT_CODE, struct.pack(">i", _GOTO)) + text(_VERDICT_CHAIN, value)
    return nested(_DATA, nested(_DATA_VERDICT, code))


def _data(value: Iterable[str | int]) -> bytes:
    packed = value_bytes(value)
    return _data_head(len(packed)) + packed


@lru_cache
def _data_head(value_bytes_count: int) -> bytes:
    whole = nested(_DATA, attribute(_DATA_VALUE, bytes(value_bytes_count)))
    return whole[: len(whole) - value_bytes_count]


def value_bytes(value: Iterable[str | int]) -> bytes:
    return b"".join([_part(p) for p in value])


def key_bytes(set_name: str, key: Sequence[str | int], *, last: bool = False) -> bytes:
    """A key's parts, each padded to 4 bytes; of a network the first or the last address."""
    if set_name in INDEXED:
        return _parts(tuple(key[:-1])) + struct.pack("=I", key[-1])
    if set_name in RANGED:
        return _parts(tuple(key[:-1])) + _network_end(str(key[-1]), last=last)
    return _parts(tuple(key))


@lru_cache(maxsize=64)
def _parts(parts: tuple[str | int, ...]) -> bytes:
    """Kept for a moment: the endpoints of a frontend come one after the other."""
    return value_bytes(parts)


def _network_end(network: str, *, last: bool) -> bytes:
    address, _, length = network.partition("/")
    if not last:
        return socket.inet_aton(address)
    (number,) = struct.unpack(">I", socket.inet_aton(address))
    return struct.pack(">I", number | (0xFFFFFFFF >> int(length)))


def _part(part: str | int) -> bytes:
    if isinstance(part, int):
        return _PORT.pack(part)
    return _PROTOCOL_PARTS.get(part) or socket.inet_aton(part)


_INDEXED_VALUE_HEAD: Final = _data_head(8)
_INDEXED_HEAD: Final = _ELEMENT_HEAD.pack(
    4 + len(_head(16)) + 16 + len(_data_head(8)) + 8, _LIST_ELEMENT | NLA_F_NESTED
) + _head(16)


def raw(element: Element) -> RawElement:
    """An element as `dumped` gives it back."""
    key = key_bytes(element.set_name, element.key)
    value = element.value
    if value is None:
        return element.set_name, key, b""
    if isinstance(value, str):
        return element.set_name, key, value.encode()
    return element.set_name, key, value_bytes(value)


def dumped(payload: bytes) -> Iterator[RawElement]:
    """The elements in one answer to GET_ELEMENTS; of a verdict the chain's name, or `drop`."""
    found = attributes(payload[4:])
    name = found[_LIST_SET].rstrip(b"\0").decode()
    for element in _repeated(found.get(_LIST_ELEMENTS, b"")):
        parts = attributes(element)
        if _KEY not in parts:
            continue
        key = attributes(parts[_KEY])[_DATA_VALUE]
        yield name, key, _dumped_value(parts.get(_DATA, b""))


def dumped_clients(payload: bytes) -> Iterator[tuple[bytes, Client]]:
    """The elements of the affinity map in one answer, each with the kernel's own key."""
    for element in _repeated(attributes(payload[4:]).get(_LIST_ELEMENTS, b"")):
        parts = attributes(element)
        if not {_KEY, _DATA, _TIMEOUT, _EXPIRATION} <= parts.keys():
            continue
        key = attributes(parts[_KEY])[_DATA_VALUE]
        value = attributes(parts[_DATA])[_DATA_VALUE]
        client, protocol, address, port = _CLIENT_KEY.unpack(key)
        timeout, left = (int.from_bytes(parts[p], "big") for p in (_TIMEOUT, _EXPIRATION))
        yield (
            key,
            Client(
                socket.inet_ntoa(client),
                Frontend(_PROTOCOL_NAMES[protocol], socket.inet_ntoa(address), port),
                Target(socket.inet_ntoa(value[:4]), int.from_bytes(value[4:6], "big")),
                timeout,
                left,
            ),
        )


def _dumped_value(data: bytes) -> bytes:
    if not data:
        return b""
    parts = attributes(data)
    if _DATA_VERDICT not in parts:
        return parts[_DATA_VALUE]
    verdict = attributes(parts[_DATA_VERDICT])
    return verdict.get(_VERDICT_CHAIN, DROP.encode()).rstrip(b"\0")


def _repeated(data: bytes) -> Iterator[bytes]:
    """The values of attributes that all have one type."""
    offset = 0
    while offset + 4 <= len(data):
        (length,) = struct.unpack_from("=H", data, offset)
        if length < 4 or offset + length > len(data):
            raise ValueError(f"netlink attribute of {length} bytes in {len(data) - offset}")
        yield data[offset + 4 : offset + length]
        offset += length + (-length % 4)
