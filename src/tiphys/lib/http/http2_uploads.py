"""Which bodies of a connection's requests may come now: the others' windows stay shut.

A body that fits the window which every stream begins with comes as it is sent. A larger one needs
room for the whole of it, so that what has begun to come can end; those that find none wait for
their turn, in the order in which they asked. One that holds up others longer than BODY_SECONDS_MAX
is told of by `stalled`. All that a connection holds of bodies that are not whole is thereby
bounded: the first windows of all streams, and the room.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from tiphys.lib.http.http2_wire import Wire
from tiphys.lib.http.http2_writer import WireStream

# Of each stream. Upstream opens 256 KB (resourceBody99Percentile in secure_serving.go) and bounds
# no sum; a body of known length has its whole window one way there and back later.
STREAM_WINDOW_BYTES: Final = 64 * 1024
# Of a connection's bodies together, beyond their first windows: as many as there are streams would
# be 750 MB.
ROOM_BYTES: Final = 16 << 20
BODY_SECONDS_MAX: Final = 60.0  # Upstream's --request-timeout.


class _Taken(NamedTuple):
    size: int
    since: float


class Uploads:
    """The streams are those whose request is not whole yet."""

    def __init__(self, wire: Wire, now: Callable[[], float]) -> None:
        """now: seconds of a clock that only goes forward."""
        self._wire = wire
        self._now = now
        self._taken: dict[int, _Taken] = {}
        self._taken_bytes = 0
        self._waiting: dict[int, tuple[WireStream, int]] = {}

    def expect(self, stream: WireStream, size: int) -> None:
        """So much comes on the stream, at most; asking again changes nothing."""
        more = size - STREAM_WINDOW_BYTES
        if more > 0 and stream.id not in self._taken and stream.id not in self._waiting:
            self._waiting[stream.id] = stream, more
            self._admit()

    def over(self, stream_id: int) -> None:
        """The body is whole, or nobody wants it any more."""
        self._waiting.pop(stream_id, None)
        taken = self._taken.pop(stream_id, None)
        self._taken_bytes -= taken.size if taken is not None else 0
        self._admit()

    @property
    def is_waited_for(self) -> bool:
        return bool(self._waiting)

    def stalled(self) -> list[int]:
        """The streams that have had room for too long while others wait for it."""
        latest = self._now() - BODY_SECONDS_MAX
        return [n for n, t in self._taken.items() if t.since <= latest] if self._waiting else []

    def _admit(self) -> None:
        while self._waiting:
            stream_id, (stream, size) = next(iter(self._waiting.items()))
            if self._taken and self._taken_bytes + size > ROOM_BYTES:
                return
            del self._waiting[stream_id]
            self._taken[stream_id] = _Taken(size, self._now())
            self._taken_bytes += size
            self._wire.open_window(stream, size)
