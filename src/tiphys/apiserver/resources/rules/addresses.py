"""IP addresses and CIDRs, as strictly as upstream reads them since 1.36.

Upstream: apimachinery pkg/util/validation/ip.go.
"""

import ipaddress
import re
from typing import Final

from tiphys.api.field_errors import FieldError, invalid

_ZEROS: Final = re.compile(r"(?<![0-9a-fA-F:.])0+(?=\d)|(?<=\.)0+(?=\d)")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_address(text: str) -> Address | None:
    """Leading zeros in IPv4 are read over, as upstream's sloppy parser does."""
    if "/" in text or "%" in text:
        return None
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        pass
    try:
        return ipaddress.ip_address(_ZEROS.sub("", text)) if "." in text else None
    except ValueError:
        return None


def legacy_address(text: str, path: str) -> list[FieldError]:
    """An address that need not be in canonical form."""
    address = parse_address(text)
    if address is None:
        why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
        return [invalid(path, text, why)]
    if address.version == 4 and "." in text and ":" not in text and str(address) != text:
        return [invalid(path, text, "must not have leading 0s")]
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return [invalid(path, text, "must not be an IPv4-mapped IPv6 address")]
    return []


def canonical_address(text: str, path: str) -> list[FieldError]:
    errors = legacy_address(text, path)
    address = parse_address(text)
    if errors or address is None or str(address) == text:
        return errors
    return [invalid(path, text, f'must be in canonical form ("{address}")')]


def parse_network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text, strict=False) if "/" in text else None
    except ValueError:
        return None


def legacy_network(text: str, path: str) -> list[FieldError]:
    """A CIDR that need not be in canonical form."""
    head, slash, bits = text.partition("/")
    address = parse_address(head)
    network = parse_network(f"{address}/{bits}") if address is not None and slash else None
    if network is None or not bits.isdigit():
        why = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
        return [invalid(path, text, why)]
    if (address is not None and address.version == 4 and str(address) != head) or (
        bits != str(network.prefixlen)
    ):
        return [invalid(path, text, "must not have leading 0s in IP or prefix length")]
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return [invalid(path, text, "must not have an IPv4-mapped IPv6 address")]
    if network.network_address != address:
        return [invalid(path, text, "must not have bits set beyond the prefix length")]
    return []


def canonical_network(text: str, path: str) -> list[FieldError]:
    errors = legacy_network(text, path)
    network = parse_network(text)
    if errors or network is None or str(network) == text:
        return errors
    return [invalid(path, text, f'must be in canonical form ("{network}")')]


def interface_address(text: str, path: str) -> list[FieldError]:
    """An address with the length of its network's prefix, in canonical form."""
    head, slash, bits = text.partition("/")
    address = parse_address(head)
    network = parse_network(f"{address}/{bits}") if address is not None and slash else None
    if network is None or not bits.isdigit():
        why = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)"
        return [invalid(path, text, why)]
    canonical = f"{address}/{network.prefixlen}"
    if canonical == text:
        return []
    return [invalid(path, text, f'must be in canonical form ("{canonical}")')]


# What is refused above need not be warned of: of what is left only IPv6 has several forms.


def address_warnings(text: str, path: str) -> list[str]:
    """Upstream: GetWarningsForIP."""
    address = parse_address(text) if ":" in text else None
    if address is None or str(address) == text:
        return []
    shown = f'IPv6 address "{text}" should be in RFC 5952 canonical format ("{address}")'
    return [f"{path}: {shown}"]


def network_warnings(text: str, path: str) -> list[str]:
    """Upstream: GetWarningsForCIDR."""
    network = parse_network(text) if ":" in text else None
    if network is None or str(network) == text:
        return []
    shown = f'IPv6 CIDR value "{text}" should be in RFC 5952 canonical format ("{network}")'
    return [f"{path}: {shown}"]
