"""The cluster's names: one row per sentence of the DNS schema, asked as bytes."""

import struct
from typing import Any

import pytest

from tiphys.api.meta import Obj
from tiphys.dns import packet, zone
from tiphys.dns.packet import AAAA, CNAME, PTR, SRV, A
from tiphys.dns.resolve import answer


def a_service(name: str, namespace: str = "default", **spec: Any) -> Obj:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec}


SERVICES = [
    a_service("web", clusterIP="10.96.0.7", ports=[{"name": "http", "port": 80}]),
    a_service("web", "other", clusterIP="10.96.0.8", ports=[]),
    a_service("db", clusterIP="None", ports=[{"name": "sql", "port": 5432}]),
    a_service("far", type="ExternalName", externalName="example.com"),
]
SLICES = [
    {
        "metadata": {
            "name": "db-x",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "db"},
        },
        "ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}],
        "endpoints": [
            {"addresses": ["10.244.0.5"], "hostname": "db-0", "conditions": {"ready": True}},
            {"addresses": ["10.244.0.6"], "conditions": {"ready": True}},
            {"addresses": ["10.244.0.7"], "conditions": {"ready": False}},
        ],
    }
]
ZONE = zone.build(
    "cluster.local", SERVICES, SLICES, ["default", "other"], ["10.96.0.0/16"], ["10.244.0.0/16"]
)


def ask(name: str, kind: int, *, edns: int = 0) -> bytes:
    """A query as a resolver sends it."""
    labels = b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + b"\0"
    extra = b"\0" + struct.pack(">HHIH", packet.OPT, edns, 0, 0) if edns else b""
    head = struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 1 if edns else 0)
    return head + labels + struct.pack(">HH", kind, 1) + extra


def told(name: str, kind: int) -> tuple[int, list[tuple[int, str]]]:
    """(response code, [(type, data)]) of the zone's answer."""
    data = answer(packet.parse_query(ask(name, kind)), ZONE, tcp=True)
    assert data is not None
    _, flags, _, count, _, _ = struct.unpack_from(">HHHHHH", data)
    _, offset = packet.read_name(data, 12)
    offset += 4
    found = []
    for _ in range(count):
        _, offset = packet.read_name(data, offset)
        found_kind, _, _, length = struct.unpack_from(">HHIH", data, offset)
        offset += 10
        if found_kind == A:
            text = ".".join(str(b) for b in data[offset : offset + 4])
        elif found_kind == SRV:
            text = f"{struct.unpack_from('>H', data, offset + 4)[0]} "
            text += packet.read_name(data, offset + 6)[0]
        else:
            text = packet.read_name(data, offset)[0]
        found.append((found_kind, text))
        offset += length
    return flags & 0xF, sorted(found)


@pytest.mark.parametrize(
    ("name", "kind", "code", "records"),
    [
        pytest.param("web.default.svc.cluster.local", A, 0, [(A, "10.96.0.7")], id="service"),
        pytest.param("WEB.Default.svc.cluster.local", A, 0, [(A, "10.96.0.7")], id="any-case"),
        pytest.param("web.other.svc.cluster.local", A, 0, [(A, "10.96.0.8")], id="namespace"),
        pytest.param("web.default.svc.cluster.local", AAAA, 0, [], id="no-such-type"),
        pytest.param("no.default.svc.cluster.local", A, 3, [], id="no-such-service"),
        pytest.param("default.svc.cluster.local", A, 0, [], id="a-namespace-has-no-address"),
        pytest.param("web.nowhere.svc.cluster.local", A, 3, [], id="no-such-namespace"),
        pytest.param(
            "db.default.svc.cluster.local",
            A,
            0,
            [(A, "10.244.0.5"), (A, "10.244.0.6")],
            id="headless-is-its-ready-endpoints",
        ),
        pytest.param("db-0.db.default.svc.cluster.local", A, 0, [(A, "10.244.0.5")], id="pod-name"),
        pytest.param(
            "10-244-0-6.db.default.svc.cluster.local", A, 0, [(A, "10.244.0.6")], id="unnamed"
        ),
        pytest.param(
            "_http._tcp.web.default.svc.cluster.local",
            SRV,
            0,
            [(SRV, "80 web.default.svc.cluster.local")],
            id="srv",
        ),
        pytest.param(
            "7.0.96.10.in-addr.arpa", PTR, 0, [(PTR, "web.default.svc.cluster.local")], id="ptr"
        ),
        pytest.param(
            "5.0.244.10.in-addr.arpa",
            PTR,
            0,
            [(PTR, "db-0.db.default.svc.cluster.local")],
            id="ptr-of-a-named-pod",
        ),
        pytest.param("9.0.96.10.in-addr.arpa", PTR, 3, [], id="ptr-of-nothing"),
        pytest.param(
            "10-1-2-3.default.pod.cluster.local", A, 0, [(A, "10.1.2.3")], id="pod-by-address"
        ),
        pytest.param("10-1-2-3.nowhere.pod.cluster.local", A, 3, [], id="pod-of-no-namespace"),
        pytest.param(
            "far.default.svc.cluster.local", CNAME, 0, [(CNAME, "example.com")], id="external-name"
        ),
    ],
)
def test_names(name: str, kind: int, code: int, records: list[tuple[int, str]]) -> None:
    assert told(name, kind) == (code, records)


@pytest.mark.parametrize("name", ["example.com", "1.2.0.192.in-addr.arpa", "local"])
def test_foreign_names_are_left_to_others(name: str) -> None:
    assert answer(packet.parse_query(ask(name, A)), ZONE, tcp=False) is None


def test_an_answer_that_does_not_fit_says_so() -> None:
    many = [{"addresses": [f"10.244.1.{n}"], "conditions": {"ready": True}} for n in range(1, 101)]
    big = zone.build("cluster.local", SERVICES, [{**SLICES[0], "endpoints": many}], ["default"])
    query = packet.parse_query(ask("db.default.svc.cluster.local", A))
    short = answer(query, big, tcp=False)
    whole = answer(query, big, tcp=True)
    assert short is not None
    assert whole is not None
    assert len(short) <= 512 < len(whole)
    assert struct.unpack_from(">H", short, 2)[0] & 0x0200, "truncated"
    edns = answer(
        packet.parse_query(ask("db.default.svc.cluster.local", A, edns=4096)), big, tcp=False
    )
    assert edns is not None
    assert len(edns) <= packet.UDP_BYTES_MAX


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\0" * 12, id="no-question"),
        pytest.param(b"\0\1\1\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1", id="a-pointer-to-itself"),
        pytest.param(b"\0\1\1\0\0\1\0\0\0\0\0\0\x05ab", id="cut-off"),
        pytest.param(b"\0\1\x81\0\0\1\0\0\0\0\0\0\0\0\1\0\1", id="an-answer"),
    ],
)
def test_bytes_that_are_no_query_are_refused(data: bytes) -> None:
    with pytest.raises(packet.FormatError):
        packet.parse_query(data)
