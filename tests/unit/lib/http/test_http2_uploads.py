"""Which bodies may come: what a server opens the windows of."""

from collections.abc import Callable

from tiphys.lib.http.http2_uploads import (
    BODY_SECONDS_MAX,
    ROOM_BYTES,
    STREAM_WINDOW_BYTES,
    Uploads,
)
from tiphys.lib.http.http2_wire import Wire, WireLimits
from tiphys.lib.http.http2_writer import WireStream

LIMITS = WireLimits(250, 64 * 1024, STREAM_WINDOW_BYTES, 1 << 20)
THIRD = ROOM_BYTES // 3


class Owner:
    """Nothing comes in here."""


def made(now: Callable[[], float] = lambda: 0.0) -> tuple[Uploads, list[WireStream]]:
    uploads = Uploads(Wire(Owner(), LIMITS, is_server=True), now)  # type: ignore[arg-type]
    return uploads, [WireStream(n, 65_535, STREAM_WINDOW_BYTES) for n in range(1, 12, 2)]


def open_(streams: list[WireStream]) -> list[int]:
    """How much more than the first window each may send."""
    return [stream.receive_window - STREAM_WINDOW_BYTES for stream in streams]


def test_a_body_that_fits_the_first_window_needs_no_room() -> None:
    uploads, streams = made()
    for stream in streams:
        uploads.expect(stream, STREAM_WINDOW_BYTES)
    assert open_(streams) == [0] * 6


def test_bodies_take_turns_for_the_room() -> None:
    uploads, streams = made()
    for stream in streams:
        uploads.expect(stream, STREAM_WINDOW_BYTES + THIRD)
        uploads.expect(stream, STREAM_WINDOW_BYTES + THIRD)
    assert open_(streams) == [THIRD] * 3 + [0] * 3
    uploads.over(streams[1].id)
    assert open_(streams) == [THIRD] * 4 + [0] * 2
    uploads.over(streams[4].id)  # It goes without having had its turn.
    uploads.over(streams[0].id)
    uploads.over(streams[0].id)
    assert open_(streams) == [THIRD] * 4 + [0, THIRD]


def test_a_small_body_waits_behind_a_large_one() -> None:
    uploads, streams = made()
    sizes = [THIRD * 2, THIRD * 2, 10]
    for stream, size in zip(streams, sizes, strict=False):
        uploads.expect(stream, STREAM_WINDOW_BYTES + size)
    assert open_(streams)[:3] == [THIRD * 2, 0, 0]
    uploads.over(streams[0].id)
    assert open_(streams)[1:3] == [THIRD * 2, 10]


def test_a_body_larger_than_the_room_comes_alone() -> None:
    uploads, streams = made()
    uploads.expect(streams[0], STREAM_WINDOW_BYTES + ROOM_BYTES + 1)
    uploads.expect(streams[1], STREAM_WINDOW_BYTES + 1)
    assert open_(streams)[:2] == [ROOM_BYTES + 1, 0]


def test_who_does_not_send_while_others_wait_is_told_of() -> None:
    seconds = 0.0
    uploads, streams = made(lambda: seconds)
    for stream in streams[:3]:
        uploads.expect(stream, STREAM_WINDOW_BYTES + THIRD)
    seconds = BODY_SECONDS_MAX
    assert uploads.stalled() == [], "nobody waits"
    uploads.expect(streams[3], STREAM_WINDOW_BYTES + THIRD)
    assert uploads.is_waited_for
    assert uploads.stalled() == [s.id for s in streams[:3]]
    uploads.over(streams[0].id)
    assert not uploads.is_waited_for
    assert uploads.stalled() == []
