"""Netlink bytes both ways, and lengths that lie."""

import struct

import pytest

from tiphys.lib.netlink.message import attribute, attributes, message, messages, nested, text, u32


def test_messages_and_attributes_come_back_as_they_went() -> None:
    payload = text(3, "eth0") + u32(4, 1500) + nested(18, text(1, "veth"))
    first, second = messages(message(16, 5, 7, payload) + message(2, 0, 8, b"\0\0\0\0"))
    assert (first.type, first.flags, first.sequence) == (16, 5, 7)
    found = attributes(first.payload)
    assert (found[3], found[4]) == (b"eth0\0", struct.pack("=I", 1500))
    assert attributes(found[18]) == {1: b"veth\0"}
    assert second.sequence == 8


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(struct.pack("=IHHII", 100, 16, 0, 1, 0), id="longer-than-the-data"),
        pytest.param(struct.pack("=IHHII", 3, 16, 0, 1, 0), id="shorter-than-a-header"),
    ],
)
def test_a_message_length_that_lies_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="netlink message"):
        list(messages(data))


def test_an_attribute_length_that_lies_is_refused() -> None:
    with pytest.raises(ValueError, match="netlink attribute"):
        attributes(struct.pack("=HH", 200, 1) + b"abcd")
    assert attribute(1, b"a") == b"\x05\0\x01\0a\0\0\0"
