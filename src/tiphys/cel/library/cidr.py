"""Ranges of addresses. Upstream: apiserver/pkg/cel/library/cidr.go, pkg/cel/cidr.go."""

import ipaddress
from typing import Any, Final

import orjson

from tiphys.cel import types
from tiphys.cel.declarations import Library
from tiphys.cel.errors import EvaluationError
from tiphys.cel.library.ip import IP, parsed_address

CIDR_TYPE: Final = types.opaque("net.CIDR")
_TABLE: Final = """
cidr          string_to_cidr             (string) -> net.CIDR
containsIP    cidr_contains_ip_string    net.CIDR.(string) -> bool
containsIP    cidr_contains_ip_ip        net.CIDR.(net.IP) -> bool
containsCIDR  cidr_contains_cidr_string  net.CIDR.(string) -> bool
containsCIDR  cidr_contains_cidr         net.CIDR.(net.CIDR) -> bool
ip            cidr_ip                    net.CIDR.() -> net.IP
prefixLength  cidr_prefix_length         net.CIDR.() -> int
masked        cidr_masked                net.CIDR.() -> net.CIDR
isCIDR        is_cidr                    (string) -> bool
string        cidr_to_string             (net.CIDR) -> string
"""
_ERROR: Final = "network address parse error during conversion from string: "


class CIDR:
    """An address with a length: the address need not be the range's first."""

    __slots__ = ("interface",)
    cel_type = CIDR_TYPE

    def __init__(self, interface: Any) -> None:
        self.interface = interface

    def cel_size(self) -> int:
        """In octets, of the length's bits."""
        return -(-int(self.interface.network.prefixlen) // 8)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CIDR) and bool(self.interface == other.interface)

    def __hash__(self) -> int:
        return hash(self.interface)


def _parsed(text: str) -> CIDR:
    shown = orjson.dumps(text).decode()
    address, slash, length = text.rpartition("/")
    if "%" in address:
        raise EvaluationError(f"{_ERROR}CIDR {shown} with zone value is not allowed")
    try:
        if not slash or not length.isdigit() or (len(length) > 1 and length.startswith("0")):
            raise ValueError
        interface = ipaddress.ip_interface(text)
    except ValueError:
        why = "no '/'" if not slash else f"bad bits after slash: {orjson.dumps(length).decode()}"
        if slash and length.isdigit():
            why = "prefix length out of range"
            if not _is_address(address):
                why = f"ParseAddr({orjson.dumps(address).decode()}): unable to parse IP"
        text = f"{_ERROR}{_ERROR}netip.ParsePrefix({shown}): {why}"
        raise EvaluationError(text) from None
    mapped = getattr(interface.ip, "ipv4_mapped", None)
    if mapped is not None:
        raise EvaluationError(f"{_ERROR}IPv4-mapped IPv6 address {shown} is not allowed")
    return CIDR(interface)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_cidr(text: str) -> bool:
    try:
        _parsed(text)
    except EvaluationError:
        return False
    return True


def _contains_ip(one: CIDR, other: IP) -> bool:
    network = one.interface.network
    return network.version == other.address.version and other.address in network


def _contains_ip_text(one: CIDR, text: str) -> bool:
    return _contains_ip(one, IP(parsed_address(text)))


def _contains(one: CIDR, other: CIDR) -> bool:
    network, inner = one.interface.network, other.interface.network
    return network.version == inner.version and bool(inner.subnet_of(network))


def _masked(one: CIDR) -> CIDR:
    return CIDR(ipaddress.ip_interface(one.interface.network.with_prefixlen))


LIBRARY: Final = Library(
    _TABLE,
    {
        "string_to_cidr": _parsed,
        "cidr_contains_ip_string": _contains_ip_text,
        "cidr_contains_ip_ip": _contains_ip,
        "cidr_contains_cidr_string": lambda one, text: _contains(one, _parsed(text)),
        "cidr_contains_cidr": _contains,
        "cidr_ip": lambda one: IP(one.interface.ip),
        "cidr_prefix_length": lambda one: one.interface.network.prefixlen,
        "cidr_masked": _masked,
        "is_cidr": _is_cidr,
        "cidr_to_string": lambda one: one.interface.with_prefixlen,
    },
    {"net.CIDR": CIDR_TYPE},
)
