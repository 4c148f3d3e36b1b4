"""Frames between runtime and shim."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.runtime.shim.frames import FRAME_BYTES_MAX, HEADER, FrameError, FrameReader, pack


@given(st.lists(st.tuples(st.integers(0, 4), st.binary(max_size=20))), st.integers(1, 7))
def test_frames_survive_any_cutting(frames: list[tuple[int, bytes]], step: int) -> None:
    data = b"".join(pack(channel, payload) for channel, payload in frames)
    reader = FrameReader()
    found = [f for at in range(0, len(data), step) for f in reader.feed(data[at : at + step])]
    assert found == frames


def test_a_frame_that_is_too_long_is_refused() -> None:
    with pytest.raises(FrameError):
        list(FrameReader().feed(HEADER.pack(FRAME_BYTES_MAX + 1, 0)))
