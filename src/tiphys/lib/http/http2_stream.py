"""One stream of an HTTP/2 connection: a request that comes in, an answer that waits to go out.

To a BodyWriter it is the transport: what the windows do not let pass waits here, and the writer is
told to pause.
"""

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from tiphys.lib.http.flow import FlowControl
from tiphys.lib.http.http2_writer import WireStream

if TYPE_CHECKING:
    from tiphys.lib.http.http2 import Http2Connection
    from tiphys.lib.http.http2_head import RequestHead

PENDING_BYTES_MAX: Final = 64 * 1024  # Above this a writer pauses, as at a full socket.
PENDING_BYTES_LOW: Final = 16 * 1024  # Below this it goes on.


class Http2Stream(WireStream):
    """Lives until both sides have ended, or one has reset it."""

    __slots__ = (
        "_connection",
        "_pending",
        "body",
        "body_bytes",
        "flow",
        "head",
        "is_answered",
        "is_ended",
        "is_sending",
        "pending_bytes",
        "task",
    )

    def __init__(
        self,
        connection: "Http2Connection",
        stream_id: int,
        head: "RequestHead",
        windows: tuple[int, int],
    ) -> None:
        """windows: what may be sent and received at first."""
        super().__init__(stream_id, *windows)
        self._connection = connection
        self._pending: deque[memoryview] = deque()
        self.head = head
        self.body = bytearray()
        self.body_bytes = 0
        self.flow = FlowControl()
        self.pending_bytes = 0
        self.task: asyncio.Task[None] | None = None
        self.is_sending = False
        self.is_answered = False  # The head of the answer is sent.
        self.is_ended = False  # Nothing will be written any more; what is pending still goes out.

    # --- what BodyWriter calls

    def write(self, data: bytes | memoryview) -> None:
        if data and not self.flow.closed and not self.is_ended:
            self.append(data)
            self._connection.send_pending(self)

    def get_write_buffer_size(self) -> int:
        return self.pending_bytes

    def abort(self) -> None:
        """Drop a client that does not read; its other streams go on."""
        self._connection.drop(self)

    # --- the connection's side

    def append(self, data: bytes | memoryview) -> None:
        self._pending.append(memoryview(data))
        self.pending_bytes += len(data)
        if self.pending_bytes > PENDING_BYTES_MAX:
            self.flow.pause()

    def take(self, size: int) -> memoryview:
        """At most size bytes of what waits; there must be some."""
        first = self._pending.popleft()
        if len(first) > size:
            self._pending.appendleft(first[size:])
            first = first[:size]
        self.pending_bytes -= len(first)
        return first

    def settle(self) -> None:
        """Bytes went out: the writer may go on."""
        if not self.flow.writable and self.pending_bytes <= PENDING_BYTES_LOW:
            self.flow.resume()

    def close(self) -> None:
        """Nothing more goes out; whoever writes is told, whoever works on it is cancelled."""
        self._pending.clear()
        self.pending_bytes = 0
        self.flow.close()
        if self.task is not None:
            self.task.cancel()
