"""Neighbour tables over rtnetlink: which link address an address has, and where a link address is.

    struct ndmsg { u8 family; u8 pad; u16 pad; i32 index; u16 state; u8 flags; u8 type; }

Family AF_INET: the neighbours of a link. Family AF_BRIDGE: the forwarding entries of a VXLAN link
(link address -> address of the machine behind which it is). Source: rtnetlink(7), bridge(8).
"""

import errno
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Final, NamedTuple

from tiphys.lib.netlink.message import NLM_F_CREATE, NLM_F_REPLACE, NetlinkError, attribute
from tiphys.lib.netlink.message import attributes as parts_of
from tiphys.lib.netlink.socket import NETLINK_ROUTE, NetlinkSocket

_NEWNEIGH, _DELNEIGH, _GETNEIGH = 28, 29, 30
_NDA_DST, _NDA_LLADDR = 1, 2
_NUD_PERMANENT: Final = 0x80
_NTF_SELF: Final = 0x02
_HEAD: Final = struct.Struct("=BxxxiHBB")


class Entry(NamedTuple):
    """In a neighbour table: address has mac. In a forwarding table: mac is behind address."""

    address: str
    mac: bytes


class NeighbourTable:
    """The permanent entries of one link (by index), in the namespace of the socket."""

    def __init__(self, netlink: NetlinkSocket, index: int, *, forwarding: bool) -> None:
        self._netlink = netlink
        self._index = index
        self._forwarding = forwarding
        self._family = socket.AF_BRIDGE if forwarding else socket.AF_INET

    def entries(self) -> set[Entry]:
        found = set()
        head = _HEAD.pack(self._family, 0, 0, 0, 0)
        for answer in self._netlink.dump(_GETNEIGH, head, "list neighbours"):
            family, index, state, _, _ = _HEAD.unpack_from(answer.payload)
            parts = parts_of(answer.payload[_HEAD.size :])
            ours = (family, index) == (self._family, self._index) and state & _NUD_PERMANENT
            if ours and _NDA_DST in parts and _NDA_LLADDR in parts:
                found.add(Entry(str(ip_address(parts[_NDA_DST])), parts[_NDA_LLADDR]))
        return found

    def add(self, entry: Entry) -> None:
        """Replaces what the table says of the same address (or, forwarding, link address)."""
        flags = NLM_F_CREATE | NLM_F_REPLACE
        self._netlink.request(_NEWNEIGH, flags, self._payload(entry), f"add neighbour {entry}")

    def delete(self, entry: Entry) -> None:
        """No such entry is fine."""
        try:
            self._netlink.request(_DELNEIGH, 0, self._payload(entry), f"delete neighbour {entry}")
        except NetlinkError as exc:
            if exc.errno != errno.ENOENT:
                raise

    def _payload(self, entry: Entry) -> bytes:
        flags = _NTF_SELF if self._forwarding else 0
        head = _HEAD.pack(self._family, self._index, _NUD_PERMANENT, flags, 0)
        address = attribute(_NDA_DST, ip_address(entry.address).packed)
        return head + address + attribute(_NDA_LLADDR, entry.mac)


@contextmanager
def neighbour_tables(index: int) -> Iterator[tuple[NeighbourTable, NeighbourTable]]:
    """(neighbours, forwarding entries) of a link of the namespace that the thread is in now."""
    with NetlinkSocket(NETLINK_ROUTE) as netlink:
        yield (
            NeighbourTable(netlink, index, forwarding=False),
            NeighbourTable(netlink, index, forwarding=True),
        )
