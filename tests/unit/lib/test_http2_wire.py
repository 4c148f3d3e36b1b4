"""Frames of HTTP/2 without sockets: what a broken peer is told, windows, heads in pieces."""

import struct
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiphys.lib.http import hpack
from tiphys.lib.http.http2_codes import PREFACE, Code
from tiphys.lib.http.http2_wire import Wire, WireError, WireLimits
from tiphys.lib.http.http2_writer import WireStream

LIMITS = WireLimits(3, 8192, 1000, 100_000)
GET = b"".join(
    hpack.encode(f) for f in [(b":method", b"GET"), (b":scheme", b"https"), (b":path", b"/")]
)
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, MORE = range(10)
END_STREAM, END_HEADERS, PADDED, WITH_PRIORITY = 1, 4, 8, 32


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + num(stream) + payload


def num(number: int) -> bytes:
    return struct.pack(">I", number)


HELLO = PREFACE + frame(SETTINGS, 0, 0)
ASK = frame(HEADERS, END_STREAM | END_HEADERS, 1, GET)
BEGIN = frame(HEADERS, END_HEADERS, 1, GET)


@dataclass
class Heard:
    """An owner that writes down what it is told."""

    wire: Wire = field(init=False)
    said: list[tuple[object, ...]] = field(default_factory=list)

    def head_received(self, stream_id: int, block: bytes, *, is_last: bool) -> None:
        fields = self.wire.fields_of(block)
        if stream_id not in self.wire.streams:
            stream = WireStream(stream_id, self.wire.peer_stream_window, 1000)
            stream.is_remote_ended = is_last
            self.wire.streams[stream_id] = stream
        self.said.append(("head", stream_id, len(fields), is_last))

    def data_received_on(self, stream: WireStream, data: bytes, size: int) -> None:
        self.said.append(("data", stream.id, data))

    def stream_ended(self, stream: WireStream) -> None:
        self.said.append(("ended", stream.id))

    def stream_reset(self, stream: WireStream, code: int) -> None:
        self.said.append(("reset", stream.id, code))

    def window_opened(self, stream: WireStream | None) -> None:
        pass

    def left(self, last_stream_id: int, code: int) -> None:
        self.said.append(("left", last_stream_id, code))

    def frame_spent(self) -> None:
        pass


def server() -> Heard:
    owner = Heard()
    owner.wire = Wire(owner, LIMITS, is_server=True)
    owner.wire.take()
    return owner


def test_a_request_with_a_body_and_trailers() -> None:
    owner = server()
    data = frame(DATA, PADDED, 1, b"\2hello\0\0")
    owner.wire.receive(HELLO + BEGIN + data + frame(HEADERS, END_STREAM | END_HEADERS, 1, b""))
    assert owner.said == [
        ("head", 1, 3, False),
        ("data", 1, b"hello"),
        ("head", 1, 0, True),
        ("ended", 1),
    ]


@given(st.lists(st.integers(1, 40), max_size=40))
@settings(max_examples=30)
def test_bytes_may_come_in_any_pieces(sizes: list[int]) -> None:
    extras = b"\1" + num(0) + b"\0"
    first = frame(HEADERS, END_STREAM | PADDED | WITH_PRIORITY, 1, extras + GET[:3] + b"\0")
    whole = HELLO + first + frame(MORE, 0, 1, GET[3:5])
    whole += frame(MORE, END_HEADERS, 1, GET[5:]) + frame(PING, 0, 0, b"12345678")
    owner, at = server(), 0
    for size in [*sizes, len(whole)]:
        owner.wire.receive(whole[at : at + size])
        at += size
    assert owner.said == [("head", 1, 3, True)]
    assert owner.wire.take().endswith(frame(PING, 1, 0, b"12345678"))


BROKEN = {
    "preface": (b"GET / HTTP/1.1\r\n\r\n", Code.PROTOCOL_ERROR),
    "no settings": (PREFACE + ASK, Code.PROTOCOL_ERROR),
    "frame too large": (HELLO + frame(DATA, 0, 1, b"x" * 16_385), Code.FRAME_SIZE_ERROR),
    "head of no stream": (HELLO + frame(HEADERS, 5, 0, GET), Code.PROTOCOL_ERROR),
    "even stream": (HELLO + frame(HEADERS, 5, 2, GET), Code.PROTOCOL_ERROR),
    "stream used twice": (HELLO + frame(HEADERS, 5, 3, GET) + ASK, Code.STREAM_CLOSED),
    "head after the end": (HELLO + ASK + ASK, Code.STREAM_CLOSED),
    "second head": (HELLO + BEGIN + BEGIN, Code.PROTOCOL_ERROR),
    "head not ended": (HELLO + frame(HEADERS, 1, 1, GET) + ASK, Code.PROTOCOL_ERROR),
    "rest of no head": (HELLO + frame(MORE, 4, 1, GET), Code.PROTOCOL_ERROR),
    "rest of another": (
        HELLO + frame(HEADERS, 1, 1, GET) + frame(MORE, 4, 3, GET),
        Code.PROTOCOL_ERROR,
    ),
    "too much padding": (HELLO + frame(HEADERS, 13, 1, b"\xff" + GET), Code.PROTOCOL_ERROR),
    "empty and padded": (HELLO + BEGIN + frame(DATA, PADDED, 1), Code.PROTOCOL_ERROR),
    "short priority": (HELLO + frame(HEADERS, 37, 1, b"\0\0"), Code.FRAME_SIZE_ERROR),
    "depends on itself": (HELLO + frame(PRIORITY, 0, 1, num(1) + b"\0"), Code.PROTOCOL_ERROR),
    "priority size": (HELLO + frame(PRIORITY, 0, 1, b"\0"), Code.FRAME_SIZE_ERROR),
    "priority of none": (HELLO + frame(PRIORITY, 0, 0, num(1) + b"\0"), Code.PROTOCOL_ERROR),
    "bad block": (
        HELLO + frame(HEADERS, 5, 1, b"\xff\xff\xff\xff\xff\xff"),
        Code.COMPRESSION_ERROR,
    ),
    "no such field": (HELLO + frame(HEADERS, 5, 1, b"\xbf"), Code.COMPRESSION_ERROR),
    "cut-off field": (HELLO + frame(HEADERS, 5, 1, b"\0"), Code.COMPRESSION_ERROR),
    "large table": (HELLO + frame(HEADERS, 5, 1, b"\x3f\xe2\x7f" + GET), Code.COMPRESSION_ERROR),
    "table size late": (HELLO + frame(HEADERS, 5, 1, GET + b"\x20"), Code.COMPRESSION_ERROR),
    "bad Huffman": (
        HELLO + frame(HEADERS, 5, 1, b"\0\x84\xff\xff\xff\xff\0"),
        Code.COMPRESSION_ERROR,
    ),
    "large head": (
        HELLO + frame(HEADERS, 5, 1, hpack.encode((b"a", b"x" * 9000))),
        Code.ENHANCE_YOUR_CALM,
    ),
    "data of nobody": (HELLO + frame(DATA, 0, 1, b"x"), Code.PROTOCOL_ERROR),
    "data after the end": (HELLO + ASK + frame(DATA, 0, 1, b"x"), Code.STREAM_CLOSED),
    "stream's window": (HELLO + BEGIN + frame(DATA, 0, 1, b"x" * 1001), Code.FLOW_CONTROL_ERROR),
    "reset of nobody": (HELLO + frame(RST, 0, 1, num(8)), Code.PROTOCOL_ERROR),
    "short reset": (HELLO + ASK + frame(RST, 0, 1, b"\0"), Code.FRAME_SIZE_ERROR),
    "window of nobody": (HELLO + frame(WINDOW, 0, 1, num(1)), Code.PROTOCOL_ERROR),
    "window by nothing": (HELLO + frame(WINDOW, 0, 0, num(0)), Code.PROTOCOL_ERROR),
    "window too large": (HELLO + frame(WINDOW, 0, 0, num(2**31 - 1)), Code.FLOW_CONTROL_ERROR),
    "short window": (HELLO + frame(WINDOW, 0, 0, b"\0"), Code.FRAME_SIZE_ERROR),
    "settings of a stream": (HELLO + frame(SETTINGS, 0, 1), Code.PROTOCOL_ERROR),
    "settings cut off": (HELLO + frame(SETTINGS, 0, 0, b"\0"), Code.FRAME_SIZE_ERROR),
    "agreed with words": (HELLO + frame(SETTINGS, 1, 0, b"\0" * 6), Code.FRAME_SIZE_ERROR),
    "push": (HELLO + frame(SETTINGS, 0, 0, b"\0\2" + num(2)), Code.PROTOCOL_ERROR),
    "initial window": (
        HELLO + frame(SETTINGS, 0, 0, b"\0\4" + num(2**31)),
        Code.FLOW_CONTROL_ERROR,
    ),
    "small frames": (HELLO + frame(SETTINGS, 0, 0, b"\0\5" + num(100)), Code.PROTOCOL_ERROR),
    "pushed": (HELLO + frame(PUSH, 4, 1, num(2)), Code.PROTOCOL_ERROR),
    "ping of a stream": (HELLO + frame(PING, 0, 1, b"12345678"), Code.PROTOCOL_ERROR),
    "short ping": (HELLO + frame(PING, 0, 0, b"1"), Code.FRAME_SIZE_ERROR),
    "farewell of a stream": (HELLO + frame(GOAWAY, 0, 1, num(0) + num(0)), Code.PROTOCOL_ERROR),
    "short farewell": (HELLO + frame(GOAWAY, 0, 0, num(0)), Code.FRAME_SIZE_ERROR),
}


@pytest.mark.parametrize(("sent", "code"), BROKEN.values(), ids=BROKEN)
def test_what_ends_the_connection(sent: bytes, code: Code) -> None:
    owner = server()
    with pytest.raises(WireError):
        owner.wire.receive(sent)
    last = owner.wire.take()[-17:]
    assert (last[3], int.from_bytes(last[13:])) == (GOAWAY, code)


FINE = {
    "unknown frame": frame(99, 255, 77, b"whatever"),
    "unknown setting": frame(SETTINGS, 0, 0, b"\0\x63" + num(5)),
    "priority of what may come": frame(PRIORITY, 0, 9, num(3) + b"\0"),
    "window of a closed stream": ASK + frame(RST, 0, 1, num(8)) + frame(WINDOW, 0, 1, num(5)),
    "an answer to a ping": frame(PING, 1, 0, b"12345678"),
}


@pytest.mark.parametrize("sent", FINE.values(), ids=FINE)
def test_what_is_passed_over(sent: bytes) -> None:
    owner = server()
    owner.wire.receive(HELLO + sent)
    owner.wire.receive(frame(HEADERS, 5, 3, GET))
    assert owner.said[-1] == ("head", 3, 3, True)


def test_frames_of_a_stream_that_we_reset_are_passed_over() -> None:
    owner = server()
    owner.wire.receive(HELLO + BEGIN)
    owner.wire.reset(1, Code.CANCEL)
    indexed = frame(HEADERS, END_STREAM | END_HEADERS, 1, b"\x40\x01a\x01b")
    owner.wire.receive(frame(DATA, 0, 1, b"x" * 900) + indexed)
    owner.wire.receive(frame(HEADERS, 5, 3, GET + b"\xbe"))  # The table has seen the other head.
    assert owner.said[-1] == ("head", 3, 4, True)


def test_a_streams_window_that_overflows_resets_the_stream() -> None:
    owner = server()
    owner.wire.receive(HELLO + ASK + frame(WINDOW, 0, 1, num(2**31 - 1)))
    assert owner.said[-1] == ("reset", 1, Code.FLOW_CONTROL_ERROR)


def test_windows_open_by_half_and_shrink_with_settings() -> None:
    owner = server()
    owner.wire.receive(HELLO + BEGIN)
    stream = owner.wire.streams[1]
    owner.wire.take()
    owner.wire.receive(frame(DATA, 0, 1, b"x" * 400))
    owner.wire.consumed(stream, 400)
    assert owner.wire.take() == b""
    owner.wire.receive(frame(DATA, 0, 1, b"x" * 200))
    owner.wire.consumed(stream, 200)
    assert owner.wire.take() == frame(WINDOW, 0, 1, num(600))
    owner.wire.receive(frame(SETTINGS, 0, 0, b"\0\4" + num(100)))
    assert (stream.send_window, owner.wire.peer_stream_window) == (100, 100)


def test_of_settings_that_repeat_the_last_counts_once() -> None:
    owner = server()
    owner.wire.receive(HELLO + BEGIN)
    many = b"".join(b"\0\4" + num(size) for size in range(2700))
    owner.wire.receive(frame(SETTINGS, 0, 0, many))
    assert owner.wire.streams[1].send_window == owner.wire.peer_stream_window == 2699


def test_a_head_larger_than_a_frame_goes_in_pieces() -> None:
    owner = server()
    owner.wire.send_head(1, b"x" * 40_000, is_last=True)
    sent = owner.wire.take()
    assert (sent[3], sent[4]) == (HEADERS, END_STREAM)
    second, third = sent[9 + 16_384 :], sent[2 * (9 + 16_384) :]
    assert (second[3], second[4], third[3], third[4]) == (MORE, 0, MORE, END_HEADERS)


@given(st.binary(max_size=300), st.booleans())
@settings(max_examples=300)
def test_no_bytes_make_another_error(noise: bytes, begun: bool) -> None:
    owner = server()
    try:
        owner.wire.receive(HELLO + (BEGIN if begun else b"") + noise)
    except WireError:
        assert owner.wire.take()


@given(st.integers(0, 9), st.integers(0, 255), st.integers(0, 4), st.binary(max_size=60))
@settings(max_examples=500)
def test_no_frame_makes_another_error(kind: int, flags: int, stream: int, payload: bytes) -> None:
    owner = server()
    try:
        owner.wire.receive(HELLO + BEGIN + frame(kind, flags, stream, payload))
    except WireError:
        assert owner.wire.take()
