"""Packets sent to see whether they arrive: echo, path MTU, TCP, DNS. Thin shell.

Sources: RFC 792 (echo), ip(7) IP_MTU_DISCOVER, RFC 4821 (searching a path's MTU by probing).
"""

import os
import socket
import struct
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

from tiphys.cluster.netcheck.place import Place
from tiphys.dns.packet import UDP_BYTES_WITHOUT_EDNS

ECHO_SECONDS: Final = 0.5
ATTEMPTS_MAX: Final = 2
TCP_SECONDS: Final = 2.0
DNS_SECONDS: Final = 1.0
HEADER_BYTES: Final = 28  # IPv4 and ICMP.
SMALL_BYTES: Final = 84  # What `ping` sends.
MTU_MIN: Final = 576  # RFC 791: what every host takes.
PROBES_AT_ONCE_MAX: Final = 16
_IP_MTU_DISCOVER, _PROBE = 10, 3  # linux/in.h: DF set, the known path MTU ignored.
_ECHO, _REPLY = 8, 0

_T = TypeVar("_T")
_R = TypeVar("_R")


def at_once(work: Callable[[_T], _R], items: Iterable[_T]) -> list[_R]:
    """The results in order; each thread enters namespaces for itself."""
    with ThreadPoolExecutor(PROBES_AT_ONCE_MAX) as pool:
        return list(pool.map(work, items))


def reaches(place: Place, address: str, packet_bytes: int = SMALL_BYTES) -> bool:
    """Whether an answer comes to an echo of so many bytes, which may not be divided."""
    with place.inside(), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as s:
        s.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PROBE)
        ident = int.from_bytes(os.urandom(2), "big")
        for number in range(ATTEMPTS_MAX):
            try:
                s.sendto(_echo(ident, number, packet_bytes - HEADER_BYTES), (address, 0))
            except OSError:  # Too long for a link of ours, or no way at all.
                return False
            if _answered(s, address, ident):
                return True
    return False


def _answered(found: socket.socket, address: str, ident: int) -> bool:
    deadline = time.monotonic() + ECHO_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        found.settimeout(left)
        try:
            data, sender = found.recvfrom(65536)
        except OSError:
            return False
        body = data[(data[0] & 0xF) * 4 :]
        if sender[0] == address and body[0] == _REPLY and body[4:6] == struct.pack(">H", ident):
            return True
    return False


def _echo(ident: int, number: int, payload_bytes: int) -> bytes:
    body = bytes(max(payload_bytes, 0))
    head = struct.pack(">BBHHH", _ECHO, 0, 0, ident, number)
    return struct.pack(">BBHHH", _ECHO, 0, checksum(head + body), ident, number) + body


def checksum(data: bytes) -> int:
    """RFC 1071."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def path_mtu(place: Place, address: str, wanted: int) -> int | None:
    """The longest packet that arrives, at most wanted; None when not even a short one does."""
    if reaches(place, address, wanted):
        return wanted
    if not reaches(place, address):
        return None
    low, high = SMALL_BYTES, wanted  # low arrives, high does not.
    if reaches(place, address, MTU_MIN):
        low = MTU_MIN
    while high - low > 1:
        middle = (low + high) // 2
        if reaches(place, address, middle):
            low = middle
        else:
            high = middle
    return low


def connects(place: Place, address: str, port: int, seconds: float = TCP_SECONDS) -> str:
    """ "" when a TCP connection opens, else why not."""
    with place.inside(), socket.socket(socket.AF_INET, socket.SOCK_STREAM) as found:
        found.settimeout(seconds)
        try:
            found.connect((address, port))
        except TimeoutError:
            return f"no answer in {seconds:g} s"
        except OSError as exc:
            return exc.strerror or str(exc)
    return ""


@dataclass(frozen=True, slots=True)
class DnsAnswer:
    """data: empty where nothing came."""

    data: bytes
    seconds: float


def ask_dns(
    place: Place, server: str, query: bytes, *, port: int = 53, tcp: bool = False
) -> DnsAnswer:
    kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
    with place.inside(), socket.socket(socket.AF_INET, kind) as asking:
        asking.settimeout(DNS_SECONDS)
        began = time.monotonic()
        try:
            asking.connect((server, port))
            asking.sendall(struct.pack(">H", len(query)) + query if tcp else query)
            data = _read_tcp(asking) if tcp else asking.recv(65535)
        except OSError:
            data = b""
        return DnsAnswer(data, time.monotonic() - began)


def _read_tcp(asking: socket.socket) -> bytes:
    with asking.makefile("rb") as file:
        head = file.read(2)
        return file.read(struct.unpack(">H", head)[0]) if len(head) == 2 else b""


def dns_query(name: str, kind: int, *, edns_bytes: int = UDP_BYTES_WITHOUT_EDNS) -> bytes:
    """A query that desires recursion; with EDNS0 when it takes more than 512 bytes."""
    from tiphys.dns.packet import OPT

    labels = b"".join(bytes([len(p)]) + p.encode() for p in name.rstrip(".").split(".") if p)
    edns = edns_bytes > UDP_BYTES_WITHOUT_EDNS
    ident = int.from_bytes(os.urandom(2), "big")
    head = struct.pack(">HHHHHH", ident, 0x0100, 1, 0, 0, int(edns))
    extra = b"\0" + struct.pack(">HHIH", OPT, edns_bytes, 0, 0) if edns else b""
    return head + labels + b"\0" + struct.pack(">HH", kind, 1) + extra
