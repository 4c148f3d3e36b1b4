"""The cluster's names: one row per sentence of the DNS schema, asked as bytes."""

import struct
from typing import Any

import pytest

from support.dns_zone import a_zone
from tiphys.api.meta import Obj, ObjectKey
from tiphys.dns import packet
from tiphys.dns.packet import AAAA, ANY, CNAME, NS, PTR, SOA, SRV, A
from tiphys.dns.resolve import answer
from tiphys.dns.service_records import service_records
from tiphys.dns.zone import Zone


def a_service(name: str, namespace: str = "default", **spec: Any) -> Obj:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec}


SERVICES = [
    a_service("web", clusterIP="10.96.0.7", ports=[{"name": "http", "port": 80}]),
    a_service("web", "other", clusterIP="10.96.0.8", ports=[]),
    a_service("db", clusterIP="None", ports=[{"name": "sql", "port": 5432}]),
    a_service("far", type="ExternalName", externalName="example.com"),
    a_service("near", type="ExternalName", externalName="web.default.svc.cluster.local"),
    a_service("twice", type="ExternalName", externalName="near.default.svc.cluster.local"),
    a_service("circle", type="ExternalName", externalName="circle.default.svc.cluster.local"),
    a_service("number", type="ExternalName", externalName="192.0.2.7"),
    a_service("asleep", clusterIP="None", ports=[]),
    a_service("outside", clusterIP="None", ports=[]),
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
    },
    {
        "metadata": {
            "name": "outside-x",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "outside"},
        },
        "endpoints": [{"addresses": ["192.0.2.9"]}],
    },
]
ZONE = a_zone(SERVICES, SLICES)


def ask(name: str, kind: int, *, edns: int = 0, flags: int = 0) -> bytes:
    """A query as a resolver sends it. flags: of EDNS0, the version in the upper half."""
    labels = b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + b"\0"
    extra = b"\0" + struct.pack(">HHIH", packet.OPT, edns, flags, 0) if edns else b""
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
        pytest.param(
            "6.0.244.10.in-addr.arpa",
            PTR,
            0,
            [(PTR, "10-244-0-6.db.default.svc.cluster.local")],
            id="ptr-of-an-unnamed-pod",
        ),
        pytest.param(
            "9.2.0.192.in-addr.arpa",
            PTR,
            0,
            [(PTR, "192-0-2-9.outside.default.svc.cluster.local")],
            id="ptr-of-an-endpoint-elsewhere",
        ),
        pytest.param("9.0.96.10.in-addr.arpa", PTR, 3, [], id="ptr-of-nothing"),
        pytest.param("cluster.local", SOA, 0, [(SOA, "ns.dns.cluster.local")], id="soa"),
        pytest.param(
            "cluster.local", NS, 0, [(NS, "kube-dns.kube-system.svc.cluster.local")], id="ns"
        ),
        pytest.param("web.default.svc.cluster.local", ANY, 0, [], id="any-of-a-name"),
        pytest.param("no.default.svc.cluster.local", ANY, 3, [], id="any-of-no-name"),
        pytest.param("_tcp.web.default.svc.cluster.local", A, 0, [], id="an-inner-name"),
        pytest.param("asleep.default.svc.cluster.local", A, 3, [], id="no-ready-endpoint"),
        pytest.param("number.default.svc.cluster.local", CNAME, 3, [], id="external-address"),
        pytest.param(
            "twice.default.svc.cluster.local",
            A,
            0,
            [
                (A, "10.96.0.7"),
                (CNAME, "near.default.svc.cluster.local"),
                (CNAME, "web.default.svc.cluster.local"),
            ],
            id="a-name-for-a-name-for-ours",
        ),
        pytest.param(
            "circle.default.svc.cluster.local",
            A,
            0,
            [(CNAME, "circle.default.svc.cluster.local")] * 8,
            id="a-name-for-itself",
        ),
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


def big_zone() -> Zone:
    many = [{"addresses": [f"10.244.1.{n}"], "conditions": {"ready": True}} for n in range(1, 101)]
    return a_zone(SERVICES, [{**SLICES[0], "endpoints": many}])


@pytest.mark.parametrize(
    ("edns", "limit", "count"),
    [
        pytest.param(0, 512, 29, id="without-edns"),
        pytest.param(100, 512, 28, id="too-small-a-size"),
        pytest.param(1000, 1000, 58, id="as-asked"),
        pytest.param(4096, packet.UDP_BYTES_MAX, 73, id="never-fragmented"),
    ],
)
def test_an_answer_that_does_not_fit_has_what_fits_and_says_so(
    edns: int, limit: int, count: int
) -> None:
    query = packet.parse_query(ask("db.default.svc.cluster.local", A, edns=edns))
    short = answer(query, big_zone(), tcp=False)
    assert short is not None
    assert len(short) <= limit
    assert packet.is_truncated(short)
    assert struct.unpack_from(">H", short, 6)[0] == count
    whole = answer(query, big_zone(), tcp=True)
    assert whole is not None
    assert not packet.is_truncated(whole)
    assert struct.unpack_from(">H", whole, 6)[0] == 100


def test_additional_addresses_are_left_out_without_a_word() -> None:
    name = "_sql._tcp.db.default.svc.cluster.local"
    query = packet.parse_query(ask(name, SRV, edns=512))
    few = [{"addresses": [f"10.244.1.{n}"], "conditions": {"ready": True}} for n in range(1, 7)]
    zone = a_zone(SERVICES, [{**SLICES[0], "endpoints": few}])
    found = answer(query, zone, tcp=False)
    assert found is not None
    assert not packet.is_truncated(found)
    _, _, _, answers, _, additionals = struct.unpack_from(">HHHHHH", found)
    assert answers == 6
    assert additionals < 6 + 1


def told_edns(found: bytes) -> tuple[int, int]:
    """(the whole code, the flags) of an answer that ends with its OPT record."""
    kind, _, ttl, _ = struct.unpack_from(">HHIH", found, len(found) - 10)
    assert kind == packet.OPT
    return (ttl >> 24) << 4 | found[3] & 0xF, ttl & 0xFFFF


def test_a_version_of_edns_that_nobody_knows_is_named() -> None:
    asked = ask("web.default.svc.cluster.local", A, edns=1232, flags=1 << 16)
    found = answer(packet.parse_query(asked), ZONE, tcp=False)
    assert found is not None
    assert told_edns(found) == (packet.BADVERS, 0)


def test_the_wish_for_signatures_is_repeated() -> None:
    asked = ask("web.default.svc.cluster.local", A, edns=1232, flags=0x8000)
    found = answer(packet.parse_query(asked), ZONE, tcp=False)
    assert found is not None
    assert told_edns(found) == (0, 0x8000)


def test_other_classes_are_refused() -> None:
    asked = ask("version.bind", packet.TXT)[:-1] + b"\x03"
    found = answer(packet.parse_query(asked), ZONE, tcp=False)
    assert found is not None
    assert found[3] & 0xF == packet.REFUSED


def test_letters_come_back_as_they_were_asked() -> None:
    found = answer(packet.parse_query(ask("WeB.default.svc.cluster.local", A)), ZONE, tcp=False)
    assert found is not None
    assert b"\3WeB\7default" in found


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(b"\0\1\1\0\0\2" + ask("a", A)[6:], packet.FORMERR, id="two-questions"),
        pytest.param(b"\0\1\x28\0" + ask("a", A)[4:], packet.NOTIMP, id="an-update"),
        pytest.param(
            ask("a", A, edns=512)[:11]
            + b"\2"
            + ask("a", A, edns=512)[12:]
            + b"\0\0\x29"
            + b"\0" * 8,
            packet.FORMERR,
            id="two-opt-records",
        ),
    ],
)
def test_what_cannot_be_read_is_told_why(data: bytes, code: int) -> None:
    with pytest.raises(packet.FormatError) as caught:
        packet.parse_query(data)
    told = packet.error_answer(data, caught.value.code)
    assert told is not None
    assert told[:2] == data[:2]
    assert told[2] & 0xF8 == 0x80 | data[2] & 0x78, "an answer of the same kind"
    assert told[3] & 0xF == code


def test_a_changed_service_takes_its_old_names_along() -> None:
    zone = a_zone(SERVICES, SLICES)
    version = zone.version
    key = ObjectKey("default", "web")
    moved = a_service("web", clusterIP="10.96.0.99", ports=[])
    zone.put(key, service_records("cluster.local", moved, []))
    assert zone.version > version
    assert [r.data for r in zone.lookup("web.default.svc.cluster.local", A)[0]] == ["10.96.0.99"]
    assert zone.lookup("_tcp.web.default.svc.cluster.local", A) == ([], False)
    assert zone.lookup("7.0.96.10.in-addr.arpa", PTR) == ([], False)
    zone.put(key, [])
    assert zone.lookup("web.default.svc.cluster.local", A) == ([], False)
    assert zone.lookup("default.svc.cluster.local", A) == ([], True)


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
