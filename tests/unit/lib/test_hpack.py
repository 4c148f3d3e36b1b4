"""HPACK beside the library of the same name: each reads what the other writes."""

import contextlib

import hpack as library
import pytest
from hpack.table import HeaderTable
from hypothesis import given
from hypothesis import strategies as st

from tiphys.lib.http import hpack
from tiphys.lib.http.hpack import Decoder, HpackError

NAMES = st.sampled_from([b":path", b":status", b"content-type", b"date", b"x-own", b"a" * 300])
FIELDS = st.lists(st.tuples(NAMES, st.binary(max_size=150)), max_size=12)


def test_the_static_table() -> None:
    assert list(hpack.STATIC) == [tuple(field) for field in HeaderTable.STATIC_TABLE]


@given(st.lists(st.tuples(FIELDS, st.booleans(), st.integers(0, 4096)), max_size=8))
def test_it_reads_what_the_library_writes(
    blocks: list[tuple[list[tuple[bytes, bytes]], bool, int]],
) -> None:
    encoder, decoder = library.Encoder(), Decoder(1 << 20)
    for fields, is_coded, table_bytes in blocks:
        encoder.header_table_size = table_bytes
        assert decoder.decode(encoder.encode(fields, huffman=is_coded)) == fields


@given(FIELDS)
def test_the_library_reads_what_it_writes(fields: list[tuple[bytes, bytes]]) -> None:
    block = b"".join(map(hpack.encode, fields))
    assert [tuple(field) for field in library.Decoder().decode(block, raw=True)] == fields


@given(st.binary(max_size=200))
def test_noise_is_refused_or_read(noise: bytes) -> None:
    with contextlib.suppress(HpackError):
        Decoder(4096).decode(noise)


def test_equal_blocks_mean_the_same_while_the_table_stands() -> None:
    decoder = Decoder(4096)
    decoder.decode(b"\x40\x01a\x01b")
    generation = decoder.generation
    assert decoder.decode(b"\xbe") == decoder.decode(b"\xbe") == [(b"a", b"b")]
    assert decoder.generation == generation
    decoder.decode(b"\x40\x01a\x01c")
    assert decoder.generation != generation
    assert decoder.decode(b"\xbe") == [(b"a", b"c")]


def test_a_head_has_a_limit() -> None:
    decoder = Decoder(100)
    with pytest.raises(hpack.HeadTooLarge):
        decoder.decode(b"\x40\x01a\x01b" + b"\xbe" * 3)
