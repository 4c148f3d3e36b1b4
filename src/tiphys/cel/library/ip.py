"""IP addresses. Upstream: apiserver/pkg/cel/library/ip.go, pkg/cel/ip.go; Go net/netip."""

import ipaddress
import re
from typing import Final

import orjson

from tiphys.cel import types
from tiphys.cel.declarations import Library
from tiphys.cel.errors import EvaluationError

IP_TYPE: Final = types.opaque("net.IP")
_TABLE: Final = """
ip              string_to_ip     (string) -> net.IP
family          ip_family        net.IP.() -> int
ip.isCanonical  ip_is_canonical  (string) -> bool
isUnspecified   ip_is_unspecified  net.IP.() -> bool
isLoopback      ip_is_loopback   net.IP.() -> bool
isLinkLocalMulticast  ip_is_link_local_multicast  net.IP.() -> bool
isLinkLocalUnicast    ip_is_link_local_unicast    net.IP.() -> bool
isGlobalUnicast       ip_is_global_unicast        net.IP.() -> bool
isIP            is_ip            (string) -> bool
string          ip_to_string     (net.IP) -> string
"""
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_OCTETS: Final = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}", re.ASCII)


class IP:
    __slots__ = ("address",)
    cel_type = IP_TYPE

    def __init__(self, address: Address) -> None:
        self.address = address

    def cel_size(self) -> int:
        """In octets."""
        return self.address.max_prefixlen // 8

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IP) and self.address == other.address

    def __hash__(self) -> int:
        return hash(self.address)


def parsed_address(text: str) -> Address:
    """Raises EvaluationError."""
    shown = orjson.dumps(text).decode()
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        why = f"ParseAddr({shown}): {_why(text)}"
        raise EvaluationError(
            f"IP Address {shown} parse error during conversion from string: {why}"
        ) from None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise EvaluationError(f"IP address {shown} with zone value is not allowed")
        if address.ipv4_mapped is not None:
            raise EvaluationError(f"IPv4-mapped IPv6 address {shown} is not allowed")
    return address


def _why(text: str) -> str:
    """Go's words for the usual mistakes."""
    if ":" in text:
        return "unexpected character, want colon" if "." not in text else "invalid IPv6 address"
    if "." not in text:
        return "unable to parse IP"
    if _OCTETS.fullmatch(text):
        parts = text.split(".")
        if any(len(part) > 1 and part.startswith("0") for part in parts):
            return "IPv4 field has octet with leading zero"
        return "IPv4 field has value >255"
    if len(text.split(".")) < 4 and text.replace(".", "").isdigit():
        return "IPv4 address too short"
    return "unexpected character"


def _is_canonical(text: str) -> bool:
    return str(parsed_address(text)) == text


def _is_ip(text: str) -> bool:
    try:
        parsed_address(text)
    except EvaluationError:
        return False
    return True


def _is_local_multicast(one: IP) -> bool:
    if one.address.version == 4:
        return one.address.packed[:3] == b"\xe0\x00\x00"
    return one.address.packed[0] == 0xFF and one.address.packed[1] & 0x0F == 0x02


def _is_global(one: IP) -> bool:
    address = one.address
    is_broadcast = address.version == 4 and address.packed == b"\xff" * 4
    return not (
        is_broadcast
        or address.is_unspecified
        or address.is_loopback
        or address.is_multicast
        or address.is_link_local
    )


LIBRARY: Final = Library(
    _TABLE,
    {
        "string_to_ip": lambda text: IP(parsed_address(text)),
        "ip_family": lambda one: one.address.version,
        "ip_is_canonical": _is_canonical,
        "ip_is_unspecified": lambda one: one.address.is_unspecified,
        "ip_is_loopback": lambda one: one.address.is_loopback,
        "ip_is_link_local_multicast": _is_local_multicast,
        "ip_is_link_local_unicast": lambda one: one.address.is_link_local,
        "ip_is_global_unicast": _is_global,
        "is_ip": _is_ip,
        "ip_to_string": lambda one: str(one.address),
    },
    {"net.IP": IP_TYPE},
)
