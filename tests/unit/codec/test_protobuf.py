import struct

import pytest

from tiphys.codec import protobuf
from tiphys.codec.typed import DecodeError
from tiphys.codec.wire import WireError, delimited, fields, read_varint, signed, varint


def test_empty_values_that_clients_write_are_left_out() -> None:
    meta = delimited(1, b"a") + delimited(2, b"") + delimited(3, b"default")
    raw = delimited(1, meta) + delimited(2, delimited(1, b"k") + delimited(2, b"v"))
    type_meta = delimited(1, b"v1") + delimited(2, b"ConfigMap")
    body = protobuf.MAGIC + delimited(1, type_meta) + delimited(2, raw)
    assert protobuf.decode_object(body) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "namespace": "default"},
        "data": {"k": "v"},
    }


def test_lists_and_watch_frames() -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}
    many = {"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": [pod]}
    found = protobuf.decode_object(protobuf.encode_object(many))
    assert [i["metadata"]["name"] for i in found["items"]] == ["a"]
    frame = protobuf.encode_watch_frame("ADDED", protobuf.encode_object(pod))
    assert struct.unpack(">I", frame[:4])[0] == len(frame) - 4
    event = {number: value for number, _, value in fields(frame[4:])}
    assert event[1] == b"ADDED"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        protobuf.MAGIC,
        protobuf.MAGIC + b"\x0a\xff",
        protobuf.MAGIC + delimited(1, delimited(1, b"v1") + delimited(2, b"Nope")),
        protobuf.MAGIC
        + delimited(1, delimited(1, b"v1") + delimited(2, b"Pod"))
        + b"\x12\x02\x0a\x09",
    ],
)
def test_refused(body: bytes) -> None:
    with pytest.raises(DecodeError):
        protobuf.decode_object(body)


@pytest.mark.parametrize("conditions", ["x", 3, ["x"], {"a": 1}])
def test_what_has_not_its_types_form_is_not_sent(conditions: object) -> None:
    autoscaler = {
        "kind": "HorizontalPodAutoscaler",
        "apiVersion": "autoscaling/v2",
        "metadata": {"name": "a"},
        "status": {"desiredReplicas": 2, "conditions": conditions},
    }
    status = protobuf.decode_object(protobuf.encode_object(autoscaler))["status"]
    assert "conditions" not in status
    assert status["desiredReplicas"] == 2


def test_varints() -> None:
    for value in (0, 1, 127, 128, 300, 2**63 - 1, -1, -(2**31)):
        assert signed(read_varint(varint(value), 0)[0]) == value
    with pytest.raises(WireError):
        read_varint(b"\x80" * 11, 0)
    with pytest.raises(WireError):
        read_varint(b"\x80", 0)
