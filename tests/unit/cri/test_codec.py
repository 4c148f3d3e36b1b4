"""The CRI codec against bytes worked out by hand and against itself."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.cri.schema import schema
from tiphys.lib.grpc import codec
from tiphys.lib.grpc.codec import CodecError
from tiphys.lib.grpc.schema import Field


def encode(name: str, value: dict[str, Any]) -> bytes:
    return codec.encode(schema(), name, value)


def decode(name: str, data: bytes) -> dict[str, Any]:
    return codec.decode(schema(), name, data)


INTEGERS = {
    "int32": st.integers(-(2**31), 2**31 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "uint32": st.integers(0, 2**32 - 1),
    "uint64": st.integers(0, 2**64 - 1),
}


def _values(field: Field, depth: int) -> st.SearchStrategy[Any]:
    if field.kind == "map":
        return st.dictionaries(st.text(max_size=5), st.text(max_size=5), min_size=1, max_size=2)
    one = _one(field, depth)
    return st.lists(one, min_size=1, max_size=3) if field.repeated else one


def _one(field: Field, depth: int) -> st.SearchStrategy[Any]:
    if field.kind == "message":
        return _messages(field.type_name, depth - 1)
    if field.kind == "enum":
        names = sorted(schema().enums[field.type_name].numbers)
        if not field.repeated:
            names = [n for n in names if schema().enums[field.type_name].numbers[n]]
        return st.sampled_from(names)
    if field.kind == "string":
        return st.text(min_size=0 if field.repeated else 1, max_size=8)
    if field.kind == "bytes":
        return st.binary(min_size=1, max_size=8)
    if field.kind == "bool":
        return st.just(True)
    if field.kind == "double":
        return st.floats(1, 100)
    number = INTEGERS[field.kind]
    return number if field.repeated else number.filter(bool)


def _messages(name: str, depth: int) -> st.SearchStrategy[dict[str, Any]]:
    fields = schema().messages[name].by_name
    shallow = {k: f for k, f in fields.items() if depth > 0 or f.kind != "message"}
    return st.fixed_dictionaries({}, optional={k: _values(f, depth) for k, f in shallow.items()})


@given(st.data())
def test_every_message_survives_the_round_trip(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(schema().messages)))
    message = data.draw(_messages(name, 2))
    assert decode(name, encode(name, message)) == message


@pytest.mark.parametrize(
    ("name", "message", "wire"),
    [
        pytest.param("VersionRequest", {"version": "v1"}, "0a027631", id="string"),
        pytest.param("VersionRequest", {"version": ""}, "", id="default-is-not-sent"),
        pytest.param("VersionRequest", {"version": None}, "", id="none-is-absent"),
        pytest.param("PodSandboxConfig", {"linux": {}}, "4200", id="empty-message-is-sent"),
        pytest.param(
            "ContainerStatus", {"exit_code": -1}, "38ffffffffffffffffff01", id="negative-int32"
        ),
        pytest.param("ContainerStatus", {"exit_code": 300}, "38ac02", id="two-byte-varint"),
        pytest.param("PodSandboxStatus", {"state": "SANDBOX_NOTREADY"}, "1801", id="enum"),
        pytest.param("PortForwardRequest", {"port": [1, 300]}, "120301ac02", id="packed"),
        pytest.param(
            "PodSandboxConfig",
            {"labels": {"a": "b"}},
            "32060a016112016 2".replace(" ", ""),
            id="map",
        ),
    ],
)
def test_bytes(name: str, message: dict[str, Any], wire: str) -> None:
    assert encode(name, message).hex() == wire


def test_unpacked_numbers_and_unknown_fields_are_read() -> None:
    assert decode("PortForwardRequest", bytes.fromhex("10011002f80700")) == {"port": [1, 2]}


def test_an_unknown_enum_number_stays_a_number() -> None:
    assert decode("PodSandboxStatus", bytes.fromhex("1863")) == {"state": 99}


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param("0a05", id="cut-short"),
        pytest.param("0a01ff", id="not-utf8"),
        pytest.param("08" + "ff" * 11, id="varint-too-long"),
        pytest.param("0801", id="wrong-wire-type"),
        pytest.param("0b", id="group"),
    ],
)
def test_bad_bytes_are_refused(wire: str) -> None:
    with pytest.raises(CodecError):
        decode("VersionRequest", bytes.fromhex(wire))


SANDBOX = {
    "config": {
        "metadata": {"name": "p", "uid": "u", "namespace": "n", "attempt": 3},
        "labels": {"a": "b", "c": ""},
        "dns_config": {"servers": ["10.96.0.10"]},
        "linux": {"cgroup_parent": "/x", "sysctls": {"net.core.somaxconn": "1"}},
    },
    "runtime_handler": "h",
}
FLIPS = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=4)


@given(st.one_of(st.binary(max_size=64), FLIPS))
def test_damaged_bytes_are_refused_or_mean_what_they_encode(given: Any) -> None:
    """Whatever is taken can be written down and read again as the same.

    The first writing leaves out what is spelt out as a default, which only damaged bytes do.
    """
    if isinstance(given, bytes):
        data = given
    else:
        damaged = bytearray(encode("RunPodSandboxRequest", SANDBOX))
        for at, value in given:
            damaged[at % len(damaged)] = value
        data = bytes(damaged)
    try:
        found = decode("RunPodSandboxRequest", data)
    except CodecError:
        return
    once = decode("RunPodSandboxRequest", encode("RunPodSandboxRequest", found))
    assert decode("RunPodSandboxRequest", encode("RunPodSandboxRequest", once)) == once
    assert encode("RunPodSandboxRequest", once) == encode("RunPodSandboxRequest", found)


def test_unknown_fields_and_wrong_types_are_refused() -> None:
    with pytest.raises(CodecError, match="no field nope"):
        encode("VersionRequest", {"nope": 1})
    with pytest.raises(CodecError, match=r"VersionRequest\.version"):
        encode("VersionRequest", {"version": 3})
    with pytest.raises(CodecError, match="no value NOPE"):
        encode("PodSandboxStatus", {"state": "NOPE"})
