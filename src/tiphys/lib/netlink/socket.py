"""One netlink socket: requests with acknowledgement, dumps, batches. Blocking and short.

A socket belongs to the network namespace its thread was in when it was made.
"""

import os
import socket
from types import TracebackType
from typing import Final, Self

from tiphys.lib.netlink.message import (
    NLM_F_ACK,
    NLM_F_DUMP,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    Message,
    NetlinkError,
    error_number,
    message,
    messages,
)

NETLINK_ROUTE: Final = 0
NETLINK_NETFILTER: Final = 12
_SO_SNDBUFFORCE: Final = 32  # asm-generic/socket.h
_READ_BYTES: Final = 1 << 18
_ANSWER_SECONDS_MAX: Final = 10.0


class NetlinkSocket:
    """`with NetlinkSocket(NETLINK_ROUTE) as netlink: netlink.request(...)`."""

    def __init__(self, family: int) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, family
        )
        self._socket.bind((0, 0))
        self._socket.settimeout(_ANSWER_SECONDS_MAX)
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def set_send_buffer(self, size: int) -> None:
        """How long one message may be, in bytes. Raises PermissionError without root."""
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, size)

    def request(self, kind: int, flags: int, payload: bytes, what: str) -> None:
        """Ask and wait for the acknowledgement. Raises NetlinkError naming what."""
        self._sequence += 1
        self._socket.send(message(kind, flags | NLM_F_REQUEST | NLM_F_ACK, self._sequence, payload))
        while True:
            for answer in messages(self._socket.recv(_READ_BYTES)):
                if answer.sequence != self._sequence or answer.type != NLMSG_ERROR:
                    continue
                if number := error_number(answer.payload):
                    raise NetlinkError(number, f"{what}: {os.strerror(number)}")
                return

    def dump(self, kind: int, payload: bytes, what: str) -> list[Message]:
        """Every object of a kind. Raises NetlinkError naming what."""
        self._sequence += 1
        self._socket.send(message(kind, NLM_F_REQUEST | NLM_F_DUMP, self._sequence, payload))
        found: list[Message] = []
        while True:
            for answer in messages(self._socket.recv(_READ_BYTES)):
                if answer.sequence != self._sequence:
                    continue
                if answer.type == NLMSG_DONE:
                    return found
                if answer.type == NLMSG_ERROR:
                    number = error_number(answer.payload)
                    raise NetlinkError(number, f"{what}: {os.strerror(number)}")
                found.append(answer)

    def exchange(self, data: bytes) -> bytes:
        """Send raw messages and return the first read of answers."""
        self._socket.send(data)
        return self.receive()

    def receive(self) -> bytes:
        """The next read of answers. Raises TimeoutError after ten seconds."""
        return self._socket.recv(_READ_BYTES)
