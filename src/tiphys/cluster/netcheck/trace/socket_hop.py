"""Whether somebody listens where a packet arrives. Source: proc(5), /proc/net/tcp."""

import socket
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tiphys.cluster.netcheck.place import Place
from tiphys.cluster.netcheck.trace.hop import Hop

_LISTEN: Final = "0A"
_ANY: Final = frozenset({"0.0.0.0", "::"})


class Listener(NamedTuple):
    address: str
    port: int


def listeners(place: Place, protocol: str) -> list[Listener]:
    """Of IPv4 and IPv6."""
    found: list[Listener] = []
    with place.inside():
        for family in ("", "6"):
            path = Path(f"/proc/thread-self/net/{protocol}{family}")
            if path.exists():
                found += parse(path.read_text(), protocol)
    return found


def parse(text: str, protocol: str) -> Iterator[Listener]:
    """Pure. A UDP socket that is connected to nobody listens."""
    for line in text.splitlines()[1:]:
        words = line.split()
        if protocol == "tcp" and words[3] != _LISTEN:
            continue
        if protocol == "udp" and not words[2].endswith(":0000"):
            continue
        address, port = words[1].split(":")
        yield Listener(_address(address), int(port, 16))


def _address(text: str) -> str:
    """Words of 32 bits, each in the machine's order."""
    words = [int(text[i : i + 8], 16) for i in range(0, len(text), 8)]
    packed = b"".join(struct.pack("=I", word) for word in words)
    family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
    found = socket.inet_ntop(family, packed)
    return found.removeprefix("::ffff:")


def hop(where: str, address: str, port: int, protocol: str, found: Iterable[Listener]) -> Hop:
    """Pure."""
    here = [one for one in found if one.port == port]
    if any(one.address in _ANY or one.address == address for one in here):
        return Hop("socket", where, True, f"somebody listens at {protocol} port {port}")
    if here:
        only = ", ".join(sorted({one.address for one in here}))
        what = f"who listens at {protocol} port {port} does so at {only} only, not at {address}"
        return Hop("socket", where, False, f"{what}: refused")
    known = sorted({str(one.port) for one in found})
    others = f"; there are {', '.join(known)}" if known else ""
    return Hop("socket", where, False, f"nobody listens at {protocol} port {port}{others}: refused")
