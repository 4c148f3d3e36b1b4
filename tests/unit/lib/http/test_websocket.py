"""RFC 6455 framing, checked on the bytes of its examples."""

import pytest

from tiphys.lib.http.websocket import (
    BINARY,
    CLOSE,
    CLOSE_PROTOCOL_ERROR,
    CLOSE_TOO_BIG,
    FRAGMENTS_MAX,
    PING,
    TEXT,
    Message,
    WebSocket,
    WebSocketError,
    accept_key,
    apply_mask,
    choose_protocol,
)

MASKED_HELLO = bytes.fromhex("818537fa213d7f9f4d5158")  # RFC 6455 section 5.7


def client() -> WebSocket:
    return WebSocket(mask=lambda: b"\x01\x02\x03\x04")


def test_the_accept_key_is_the_one_of_the_rfc() -> None:
    assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_the_first_known_protocol_of_the_client_is_chosen() -> None:
    assert choose_protocol("v9.x, v5.x, v4.x", ("v4.x", "v5.x")) == "v5.x"
    assert choose_protocol("v9.x", ("v4.x",)) is None


def test_a_masked_text_is_read_byte_by_byte() -> None:
    server = WebSocket()
    got = [m for i in range(len(MASKED_HELLO)) for m in server.receive(MASKED_HELLO[i : i + 1])]
    assert got == [Message(TEXT, b"Hello")]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 300_001])
def test_messages_of_every_length_form_pass_both_ways(size: int) -> None:
    data = bytes(i % 251 for i in range(size))
    assert WebSocket().receive(client().frame(BINARY, data)) == [Message(BINARY, data)]
    assert client().receive(WebSocket().frame(BINARY, data)) == [Message(BINARY, data)]


def test_fragments_come_out_as_one_message_with_a_ping_between() -> None:
    server, peer = WebSocket(), client()
    first = bytearray(peer.frame(TEXT, b"Hel"))
    first[0] &= 0x7F
    last = bytearray(peer.frame(TEXT, b"lo"))
    last[0] &= 0xF0
    assert server.receive(bytes(first) + peer.frame(PING, b"?")) == []
    assert server.outgoing() == b"\x8a\x01?"
    assert server.receive(bytes(last)) == [Message(TEXT, b"Hello")]


def fragment(opcode: int, data: bytes) -> bytes:
    """Of a message that goes on."""
    frame = bytearray(client().frame(opcode, data))
    frame[0] &= 0x7F
    return bytes(frame)


@pytest.mark.parametrize("data", [b"", b"a"])
def test_a_message_has_so_many_fragments_and_no_more(data: bytes) -> None:
    rest = fragment(0, data) * (FRAGMENTS_MAX - 2)
    server = WebSocket()
    assert server.receive(fragment(TEXT, data) + rest) == []
    last = client().frame(TEXT, data)
    whole = server.receive(bytes([last[0] & 0xF0]) + last[1:])
    assert whole == [Message(TEXT, data * FRAGMENTS_MAX)]
    server.receive(fragment(TEXT, data) + rest + fragment(0, data))
    with pytest.raises(WebSocketError, match="fragments") as caught:
        server.receive(fragment(0, data))
    assert caught.value.code == CLOSE_TOO_BIG


def test_a_close_is_answered_with_its_code_once() -> None:
    server, peer = WebSocket(), client()
    assert server.receive(peer.close(1001, "bye")) == [Message(CLOSE, b"\x03\xe9bye")]
    assert server.outgoing() == b"\x88\x02\x03\xe9"
    assert server.close() == b""
    assert server.receive(peer.frame(TEXT, b"late")) == []


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x81\x05Hello", CLOSE_PROTOCOL_ERROR),
        (b"\xc1\x80\0\0\0\0", CLOSE_PROTOCOL_ERROR),
        (b"\x80\x80\0\0\0\0", CLOSE_PROTOCOL_ERROR),
        (b"\x83\x80\0\0\0\0", CLOSE_PROTOCOL_ERROR),
        (b"\x09\x80\0\0\0\0", CLOSE_PROTOCOL_ERROR),
        (b"\x82\xff\0\0\0\0\x7f\0\0\0\0\0\0\0", CLOSE_TOO_BIG),
    ],
    ids=["unmasked", "reserved", "stray continuation", "opcode", "cut control", "too big"],
)
def test_broken_frames_are_refused(data: bytes, code: int) -> None:
    with pytest.raises(WebSocketError) as caught:
        WebSocket().receive(data)
    assert caught.value.code == code


def test_masking_twice_gives_the_data_back() -> None:
    data = b"0123456789a"
    assert apply_mask(apply_mask(data, b"\x00\xff\x10\x01"), b"\x00\xff\x10\x01") == data
