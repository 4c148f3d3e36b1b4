"""SPDY/3.1 frames as bytes."""

import struct
import zlib

import pytest

from tiphys.lib.http import spdy
from tiphys.lib.http.spdy import FrameReader, FrameWriter, SpdyError


def test_the_dictionary_is_the_specifications() -> None:
    """Section 2.6.10.1; the checksum is what peers ask for in the zlib header (FDICT)."""
    assert (len(spdy.DICTIONARY), zlib.adler32(spdy.DICTIONARY)) == (1423, 0xE3C6A7C2)


def test_a_syn_stream_has_its_layout() -> None:
    frame = FrameWriter().syn_stream(5, {"streamType": "error"}, fin=True)
    assert frame[:4] == b"\x80\x03\x00\x01"
    assert frame[4] == spdy.FLAG_FIN
    assert int.from_bytes(frame[5:8], "big") == len(frame) - 8
    assert frame[8:18] == struct.pack(">IIH", 5, 0, 0)
    assert frame[18:20] == b"\x78\xbb"  # zlib, with a preset dictionary
    assert frame[20:24] == bytes.fromhex("e3c6a7c2")


def test_header_blocks_build_on_those_before() -> None:
    writer, reader = FrameWriter(), FrameReader()
    data = writer.syn_stream(1, {"streamType": "stdin", "Port": "80"})
    data += writer.syn_reply(1, {"a": "b"})
    data += writer.syn_stream(3, {"streamType": "stdin", "Port": "80"}, fin=True)
    frames = [f for i in range(0, len(data), 7) for f in reader.receive(data[i : i + 7])]
    assert frames == [
        spdy.SynStream(1, {"streamtype": "stdin", "port": "80"}),
        spdy.SynReply(1, {"a": "b"}),
        spdy.SynStream(3, {"streamtype": "stdin", "port": "80"}, fin=True),
    ]


def test_other_frames_pass() -> None:
    writer = FrameWriter()
    data = writer.settings({4: 100}) + writer.ping(7) + writer.rst_stream(3, spdy.CANCEL)
    data += writer.window_update(0, 65536) + writer.goaway(9)
    data += struct.pack(">HHI", 0x8003, 77, 0)
    assert FrameReader().receive(data) == [
        spdy.Ping(7),
        spdy.RstStream(3, spdy.CANCEL),
        spdy.WindowUpdate(0, 65536),
        spdy.GoAway(9, 0),
    ]


@pytest.mark.parametrize("size", [0, 1, 32768, 32769, 100_000])
def test_data_is_cut_into_frames_and_only_the_last_ends_the_stream(size: int) -> None:
    frames = FrameReader().receive(FrameWriter().data(3, b"x" * size, fin=True))
    data = [f for f in frames if isinstance(f, spdy.Data)]
    assert b"".join(f.data for f in data) == b"x" * size
    assert [f.fin for f in data] == [False] * (len(data) - 1) + [True]
    assert all(len(f.data) <= spdy.DATA_BYTES_MAX for f in data)


def bomb() -> bytes:
    packed = zlib.compressobj(wbits=15, zdict=spdy.DICTIONARY)
    block = packed.compress(b"\0" * 10_000_000) + packed.flush(zlib.Z_SYNC_FLUSH)
    return struct.pack(">HHI", 0x8003, spdy.SYN_STREAM, 10 + len(block)) + b"\0" * 10 + block


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">HHI", 0x8002, spdy.PING, 4) + b"\0\0\0\1",
        struct.pack(">HHI", 0x8003, spdy.PING, 1) + b"\0",
        struct.pack(">HHI", 0x8003, spdy.SYN_STREAM, 11) + b"\0" * 11,
        struct.pack(">HHI", 0x8003, spdy.SYN_STREAM, 1 << 20),
        bomb(),
    ],
    ids=["version", "cut short", "not zlib", "too long", "bomb"],
)
def test_broken_frames_are_refused(data: bytes) -> None:
    with pytest.raises(SpdyError):
        FrameReader().receive(data)
