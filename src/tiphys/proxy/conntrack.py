"""UDP flows that the kernel keeps sending to endpoints that are gone: found and forgotten.

A UDP flow lives as long as packets come, so a client that never stops would never reach another
endpoint. TCP needs nothing: its connections end.
Upstream: pkg/proxy/conntrack/cleanup.go. Source: linux/netfilter/nfnetlink_conntrack.h.
"""

import errno
import socket
import struct
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from tiphys.lib.netlink.message import NetlinkError, attribute, attributes, nested
from tiphys.lib.netlink.socket import NETLINK_NETFILTER, NetlinkSocket
from tiphys.proxy.plan import Frontend, Target

_SUBSYSTEM: Final = 1  # NFNL_SUBSYS_CTNETLINK
_GET, _DELETE = _SUBSYSTEM << 8 | 1, _SUBSYSTEM << 8 | 2
_ORIGINAL, _REPLY, _ID = 1, 2, 12
_TUPLE_IP, _TUPLE_PROTOCOL, _IP_SOURCE, _IP_DESTINATION = 1, 2, 1, 2
_NUMBER, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3
_HEAD: Final = struct.pack(">BBH", socket.AF_INET, 0, 0)
_UDP: Final = bytes([socket.IPPROTO_UDP])


class Flow(NamedTuple):
    """One UDP flow; tuple and number as the kernel names it."""

    frontend: Frontend
    target: Target  # Who answers.
    original: bytes
    number: bytes


Serving = Mapping[Frontend, Collection[Target]]
"""Who may answer, by frontend."""


def stale(flows: Iterable[Flow], serving: Serving) -> list[Flow]:
    """Flows to a frontend that are answered by nobody who may.

    A Service without serving endpoints keeps its flows, as upstream; its packets are lost anyway.
    """
    found = []
    for flow in flows:
        targets = serving.get(flow.frontend)
        if targets and flow.target not in targets:
            found.append(flow)
    return found


def parse(payload: bytes) -> Flow | None:
    """A flow from the kernel's answer; None for other protocols."""
    parts = attributes(payload[4:])
    if _ORIGINAL not in parts or _REPLY not in parts:
        return None
    original, reply = attributes(parts[_ORIGINAL]), attributes(parts[_REPLY])
    protocol = attributes(original[_TUPLE_PROTOCOL])
    if protocol.get(_NUMBER) != _UDP:
        return None
    address = socket.inet_ntoa(attributes(original[_TUPLE_IP])[_IP_DESTINATION])
    answers = socket.inet_ntoa(attributes(reply[_TUPLE_IP])[_IP_SOURCE])
    answers_from = _port(attributes(reply[_TUPLE_PROTOCOL])[_SOURCE_PORT])
    frontend = Frontend("udp", address, _port(protocol[_DESTINATION_PORT]))
    return Flow(frontend, Target(answers, answers_from), parts[_ORIGINAL], parts.get(_ID, b""))


def _port(value: bytes) -> int:
    return int(struct.unpack(">H", value)[0])


class Conntrack:
    """The flows of the network namespace in which it was made."""

    def __init__(self) -> None:
        self._netlink = NetlinkSocket(NETLINK_NETFILTER)

    def close(self) -> None:
        self._netlink.close()

    def clean(self, serving: Serving) -> int:
        """Forget stale flows; how many there were. Raises OSError."""
        found = stale(self.flows(), serving)
        for flow in found:
            self._forget(flow)
        return len(found)

    def flows(self) -> Iterator[Flow]:
        """Every UDP flow. Raises OSError."""
        for answer in self._netlink.dump(_GET, _HEAD, "list connections"):
            if (flow := parse(answer.payload)) is not None:
                yield flow

    def _forget(self, flow: Flow) -> None:
        payload = _HEAD + nested(_ORIGINAL, flow.original)
        if flow.number:
            payload += attribute(_ID, flow.number)
        try:
            self._netlink.request(_DELETE, 0, payload, f"forget the flow to {flow.frontend}")
        except NetlinkError as exc:
            if exc.errno != errno.ENOENT:  # It ended by itself.
                raise
