"""Bytes of a container as CRI log lines."""

import pytest

from tiphys.runtime.shim.container_log import LINE_BYTES_MAX, LineSplitter, timestamp

LONG = b"x" * (LINE_BYTES_MAX + 3)


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        pytest.param([b"a\n"], [b"F a"], id="line"),
        pytest.param([b"a", b"b\nc\n"], [b"F ab", b"F c"], id="in-pieces"),
        pytest.param([b"\n\n"], [b"F ", b"F "], id="empty-lines"),
        pytest.param([b"a\r\nend"], [b"F a", b"P end"], id="no-newline-at-end"),
        pytest.param([b"a\r", b"\nb\rc\n"], [b"F a", b"F b\rc"], id="a-terminals-line-ends"),
        pytest.param([LONG + b"\n"], [b"P " + LONG[3:], b"F xxx"], id="long"),
        pytest.param([LONG, b"\n"], [b"P " + LONG[3:], b"F xxx"], id="long-in-pieces"),
        pytest.param([LONG], [b"P " + LONG[3:], b"P xxx"], id="long-without-newline"),
        pytest.param([b"x" * LINE_BYTES_MAX + b"\n"], [b"F " + LONG[3:]], id="just-fits"),
        pytest.param([], [], id="nothing"),
    ],
)
def test_lines(pieces: list[bytes], expected: list[bytes]) -> None:
    splitter = LineSplitter("stdout")
    out = b"".join(splitter.feed(piece, b"T") for piece in pieces) + splitter.end(b"T")
    assert out == b"".join(b"T stdout " + line + b"\n" for line in expected)


def test_timestamps_have_nanoseconds() -> None:
    assert timestamp(1_700_000_000_000_000_042) == b"2023-11-14T22:13:20.000000042Z"
