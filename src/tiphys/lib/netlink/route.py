"""Links, addresses, routes and neighbours over rtnetlink.

    struct ifinfomsg { u8 family; u8 pad; u16 type; i32 index; u32 flags; u32 change; }
    struct ifaddrmsg { u8 family; u8 prefix; u8 flags; u8 scope; u32 index; }
    struct rtmsg     { u8 family, dst_len, src_len, tos, table, protocol, scope, type; u32 flags; }
    struct ndmsg     { u8 family; u8 pad; u16 pad; i32 index; u16 state; u8 flags; u8 type; }

Source: rtnetlink(7), linux/rtnetlink.h, linux/if_link.h. IPv4 and IPv6 addresses both.
"""

import errno
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface, ip_network
from typing import Final, NamedTuple

from tiphys.lib.netlink.message import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    NetlinkError,
    attribute,
    attributes,
    nested,
    text,
    u32,
)
from tiphys.lib.netlink.socket import NETLINK_ROUTE, NetlinkSocket

_NEWLINK, _DELLINK, _GETLINK = 16, 17, 18
_NEWADDR, _DELADDR, _GETADDR = 20, 21, 22
_NEWROUTE, _DELROUTE, _GETROUTE = 24, 25, 26
_NEWNEIGH = 28
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_MASTER, _IFLA_LINKINFO = 1, 3, 4, 10, 18
_IFLA_NET_NS_FD, _IFLA_INFO_KIND, _IFLA_INFO_DATA, _VETH_INFO_PEER = 28, 1, 2, 1
_IFLA_VXLAN_ID, _IFLA_VXLAN_LOCAL, _IFLA_VXLAN_LEARNING, _IFLA_VXLAN_PORT = 1, 4, 7, 15
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PREFSRC = 1, 4, 5, 7
_NDA_DST, _NDA_LLADDR = 1, 2
_IFF_UP: Final = 1
_RT_TABLE_MAIN, _RTPROT_STATIC, _RTN_UNICAST = 254, 4, 1
_SCOPE_UNIVERSE, _SCOPE_LINK, _SCOPE_HOST = 0, 253, 254
_RTNH_F_ONLINK: Final = 4
_NUD_PERMANENT: Final = 0x80
IFNAME_CHARS_MAX: Final = 15  # linux/if.h IFNAMSIZ, less the zero.


@dataclass(frozen=True, slots=True)
class Link:
    index: int
    name: str
    mac: bytes
    up: bool
    mtu: int


class Route(NamedTuple):
    destination: str  # "default" or a network
    gateway: str
    interface: int
    protocol: int  # Who made it: RTPROT_*, see ip-route(8).


def _ifinfo(index: int = 0, *, flags: int = 0, change: int = 0) -> bytes:
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, flags, change)


def _family(address: str) -> int:
    return socket.AF_INET if ip_address(address).version == 4 else socket.AF_INET6


class RouteSocket:
    """Everything is said to the namespace in which the socket was made."""

    def __init__(self) -> None:
        self._netlink = NetlinkSocket(NETLINK_ROUTE)

    def close(self) -> None:
        self._netlink.close()

    def links(self) -> list[Link]:
        found = []
        for answer in self._netlink.dump(_GETLINK, _ifinfo(), "list links"):
            index, flags = struct.unpack_from("=4xiI", answer.payload)
            parts = attributes(answer.payload[16:])
            name = parts[_IFLA_IFNAME].rstrip(b"\0").decode()
            (mtu,) = struct.unpack("=I", parts.get(_IFLA_MTU, b"\0\0\0\0"))
            found.append(Link(index, name, parts.get(_IFLA_ADDRESS, b""), bool(flags & 1), mtu))
        return found

    def link(self, name: str) -> Link:
        """Raises NetlinkError (ENODEV)."""
        for link in self.links():
            if link.name == name:
                return link
        raise NetlinkError(errno.ENODEV, f"link {name}: no such device")

    def add_veth(
        self,
        name: str,
        peer: str,
        *,
        peer_netns_fd: int | None = None,
        mtu: int = 0,
        mac: bytes = b"",
        peer_mac: bytes = b"",
    ) -> None:
        """A veth pair; the peer is born in another namespace where a fd of it is given."""
        other = _ifinfo() + text(_IFLA_IFNAME, peer)
        own = text(_IFLA_IFNAME, name)
        if mtu:
            other += u32(_IFLA_MTU, mtu)
            own += u32(_IFLA_MTU, mtu)
        if peer_mac:
            other += attribute(_IFLA_ADDRESS, peer_mac)
        if mac:
            own += attribute(_IFLA_ADDRESS, mac)
        if peer_netns_fd is not None:
            other += u32(_IFLA_NET_NS_FD, peer_netns_fd)
        info = nested(
            _IFLA_LINKINFO,
            text(_IFLA_INFO_KIND, "veth"),
            nested(_IFLA_INFO_DATA, attribute(_VETH_INFO_PEER, other)),
        )
        self._add_link(own + info, f"add veth {name}")

    def add_bridge(self, name: str) -> None:
        info = nested(_IFLA_LINKINFO, text(_IFLA_INFO_KIND, "bridge"))
        self._add_link(text(_IFLA_IFNAME, name) + info, f"add bridge {name}")

    def add_vxlan(
        self, name: str, *, vni: int, port: int, local: str, mac: bytes, mtu: int
    ) -> None:
        """A VXLAN link that learns nothing: who is where is told by forwarding entries."""
        data = nested(
            _IFLA_INFO_DATA,
            u32(_IFLA_VXLAN_ID, vni),
            attribute(_IFLA_VXLAN_LOCAL, ip_address(local).packed),
            attribute(_IFLA_VXLAN_LEARNING, b"\0"),
            attribute(_IFLA_VXLAN_PORT, struct.pack(">H", port)),
        )
        info = nested(_IFLA_LINKINFO, text(_IFLA_INFO_KIND, "vxlan"), data)
        own = text(_IFLA_IFNAME, name) + u32(_IFLA_MTU, mtu) + attribute(_IFLA_ADDRESS, mac)
        self._add_link(own + info, f"add vxlan {name}")

    def _add_link(self, parts: bytes, what: str) -> None:
        self._netlink.request(_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, _ifinfo() + parts, what)

    def set_up(self, name: str) -> None:
        index = self.link(name).index
        payload = _ifinfo(index, flags=_IFF_UP, change=_IFF_UP)
        self._netlink.request(_NEWLINK, 0, payload, f"set {name} up")

    def set_master(self, name: str, master: str) -> None:
        payload = _ifinfo(self.link(name).index) + u32(_IFLA_MASTER, self.link(master).index)
        self._netlink.request(_NEWLINK, 0, payload, f"put {name} on {master}")

    def delete_link(self, name: str) -> None:
        """No such link is fine."""
        payload = _ifinfo() + text(_IFLA_IFNAME, name)
        _ignore(errno.ENODEV, self._netlink, _DELLINK, 0, payload, f"delete link {name}")

    def add_address(self, name: str, interface: str) -> None:
        """`192.168.49.1/24`; already there is fine."""
        flags = NLM_F_CREATE | NLM_F_REPLACE
        payload = self._address(name, interface)
        self._netlink.request(_NEWADDR, flags, payload, f"add address {interface} to {name}")

    def delete_address(self, name: str, interface: str) -> None:
        """No such address is fine."""
        payload = self._address(name, interface)
        what = f"delete address {interface} of {name}"
        _ignore(errno.EADDRNOTAVAIL, self._netlink, _DELADDR, 0, payload, what)

    def _address(self, name: str, interface: str) -> bytes:
        parsed: IPv4Interface | IPv6Interface = ip_interface(interface)
        packed = parsed.ip.packed
        scope = _SCOPE_HOST if parsed.ip.is_loopback else _SCOPE_UNIVERSE
        head = struct.pack(
            "=BBBBI",
            _family(str(parsed.ip)),
            parsed.network.prefixlen,
            0,
            scope,
            self.link(name).index,
        )
        return head + attribute(_IFA_LOCAL, packed) + attribute(_IFA_ADDRESS, packed)

    def addresses(self) -> list[tuple[int, str]]:
        """(interface index, `address/prefix`) of every address."""
        found = []
        head = struct.pack("=BBBBI", socket.AF_UNSPEC, 0, 0, 0, 0)
        for answer in self._netlink.dump(_GETADDR, head, "list addresses"):
            prefix, index = answer.payload[1], struct.unpack_from("=I", answer.payload, 4)[0]
            parts = attributes(answer.payload[8:])
            packed = parts.get(_IFA_LOCAL) or parts[_IFA_ADDRESS]
            found.append((index, f"{ip_address(packed)}/{prefix}"))
        return found

    def add_route(
        self,
        destination: str,
        *,
        interface: str = "",
        gateway: str = "",
        source: str = "",
        onlink: bool = False,
        protocol: int = _RTPROT_STATIC,
    ) -> None:
        """`default` or a network, over a gateway or straight out of an interface; replaces."""
        payload = self._route(
            destination, interface, gateway, source, onlink=onlink, protocol=protocol
        )
        flags = NLM_F_CREATE | NLM_F_REPLACE
        self._netlink.request(_NEWROUTE, flags, payload, f"add route to {destination}")

    def delete_route(self, destination: str, *, interface: str = "", gateway: str = "") -> None:
        """No such route is fine; whoever made it."""
        payload = self._route(destination, interface, gateway, "", onlink=False, protocol=0)
        what = f"delete route to {destination}"
        _ignore(errno.ESRCH, self._netlink, _DELROUTE, 0, payload, what)

    def _route(
        self,
        destination: str,
        interface: str,
        gateway: str,
        source: str,
        *,
        onlink: bool,
        protocol: int = _RTPROT_STATIC,
    ) -> bytes:
        network = ip_network("0.0.0.0/0" if destination == "default" else destination)
        head = struct.pack(
            "=BBBBBBBBI",
            socket.AF_INET if network.version == 4 else socket.AF_INET6,
            network.prefixlen,
            0,
            0,
            _RT_TABLE_MAIN,
            protocol,
            _SCOPE_UNIVERSE if gateway else _SCOPE_LINK,
            _RTN_UNICAST,
            _RTNH_F_ONLINK if onlink else 0,
        )
        if network.prefixlen:
            head += attribute(_RTA_DST, network.network_address.packed)
        if gateway:
            head += attribute(_RTA_GATEWAY, ip_address(gateway).packed)
        if source:
            head += attribute(_RTA_PREFSRC, ip_address(source).packed)
        if interface:
            head += u32(_RTA_OIF, self.link(interface).index)
        return head

    def routes(self) -> list[Route]:
        """IPv4 routes of the main table."""
        found = []
        head = struct.pack("=BBBBBBBBI", socket.AF_INET, 0, 0, 0, 0, 0, 0, 0, 0)
        for answer in self._netlink.dump(_GETROUTE, head, "list routes"):
            prefix, table = answer.payload[1], answer.payload[4]
            if table != _RT_TABLE_MAIN:
                continue
            parts = attributes(answer.payload[12:])
            packed = parts.get(_RTA_DST)
            destination = f"{ip_address(packed)}/{prefix}" if packed else "default"
            gateway = str(ip_address(parts[_RTA_GATEWAY])) if _RTA_GATEWAY in parts else ""
            (interface,) = struct.unpack("=I", parts.get(_RTA_OIF, b"\0\0\0\0"))
            found.append(Route(destination, gateway, interface, answer.payload[5]))
        return found

    def add_neighbour(self, interface: str, address: str, mac: bytes) -> None:
        """A permanent neighbour entry; replaces."""
        index = self.link(interface).index
        head = struct.pack("=BxxxiHBB", _family(address), index, _NUD_PERMANENT, 0, _RTN_UNICAST)
        payload = head + attribute(_NDA_DST, ip_address(address).packed)
        payload += attribute(_NDA_LLADDR, mac)
        flags = NLM_F_CREATE | NLM_F_REPLACE
        self._netlink.request(_NEWNEIGH, flags, payload, f"add neighbour {address}")


def _ignore(
    number: int, netlink: NetlinkSocket, kind: int, flags: int, payload: bytes, what: str
) -> None:
    try:
        netlink.request(kind, flags, payload, what)
    except NetlinkError as exc:
        if exc.errno != number:
            raise


@contextmanager
def route_socket() -> Iterator[RouteSocket]:
    """A RouteSocket for the namespace that the thread is in now."""
    opened = RouteSocket()
    try:
        yield opened
    finally:
        opened.close()
