"""Fields of HTTP/2: what makes a request, and blocks that any HPACK decoder reads."""

import pytest
from hpack import Decoder
from hypothesis import given
from hypothesis import strategies as st

from tiphys.lib.http.http2_head import MalformedHead, decode_head, encode_answer

START = [(b":method", b"GET"), (b":scheme", b"https"), (b":path", b"/a?b=c")]


def test_a_request() -> None:
    head = decode_head(
        [*START, (b":authority", b"x:1"), (b"cookie", b"a"), (b"cookie", b"b"), (b"n", b"1")]
    )
    assert (head.method, head.target, head.length) == ("GET", "/a?b=c", None)
    assert head.headers == {"host": "x:1", "cookie": "a; b", "n": "1"}


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(START[1:], id="no-method"),
        pytest.param(START[:2], id="no-path"),
        pytest.param([START[0], START[2]], id="no-scheme"),
        pytest.param([*START, START[0]], id="twice"),
        pytest.param([*START, (b"a", b"b"), (b":authority", b"x")], id="pseudo-behind-headers"),
        pytest.param([*START, (b":other", b"x")], id="unknown-pseudo"),
        pytest.param([*START[:2], (b":path", b"/a b")], id="space-in-path"),
        pytest.param([*START[:2], (b":path", b"x")], id="relative-path"),
        pytest.param([*START, (b"Upper", b"x")], id="upper-case"),
        pytest.param([*START, (b"a b", b"x")], id="space-in-name"),
        pytest.param([*START, (b"connection", b"close")], id="connection"),
        pytest.param([*START, (b"transfer-encoding", b"chunked")], id="transfer-encoding"),
        pytest.param([*START, (b"a", b"x\r\nb: c")], id="line-break"),
        pytest.param([*START, (b"content-length", b"-1")], id="length"),
        pytest.param([*START, (b"content-length", b"1"), (b"content-length", b"2")], id="lengths"),
    ],
)
def test_what_makes_no_request(fields: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(MalformedHead):
        decode_head(fields)


def test_many_fields_are_refused_and_repeated_ones_joined_at_once() -> None:
    repeated = [(b"a", b"b" * 100)] * 900
    assert len(decode_head([*START, *repeated]).headers["a"]) == 900 * 102 - 2
    with pytest.raises(MalformedHead, match="more than 1000"):
        decode_head([*START, *repeated, *repeated])


@given(
    st.sampled_from([200, 201, 404, 429]),
    st.lists(
        st.tuples(
            st.sampled_from(["Content-Type", "X-Other", "Retry-After", "Location"]),
            st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=300),
        ),
        max_size=5,
    ),
)
def test_every_decoder_reads_an_answer(status: int, headers: list[tuple[str, str]]) -> None:
    block = encode_answer(status, tuple(headers), 12, b"Audit-Id: 1-2\r\n")
    fields = [tuple(field) for field in Decoder().decode(block, raw=True)]
    assert fields[0] == (b":status", b"%d" % status)
    assert fields[1:-3] == [(name.lower().encode(), value.encode()) for name, value in headers]
    assert fields[-3][0] == b"date"
    assert fields[-2:] == [(b"content-length", b"12"), (b"audit-id", b"1-2")]


def test_an_answer_says_nothing_of_its_connection() -> None:
    block = encode_answer(200, (("Connection", "close"),), None, b"")
    assert [name for name, _ in Decoder().decode(block, raw=True)] == [b":status", b"date"]
