"""Families, ranges and ports of Services."""

import random
from ipaddress import IPv4Network

import pytest

from tiphys.api.meta import Obj
from tiphys.apiserver.number_pool import Numbers, Pool, Reservation
from tiphys.apiserver.service_families import set_families
from tiphys.apiserver.service_ports import DRY_PORT_FIRST, DryPorts, ReservedPorts
from tiphys.apiserver.service_ranges import ServiceRanges, ready_networks

BOTH = ["IPv4", "IPv6"]


@pytest.mark.parametrize(
    ("spec", "families", "policy"),
    [
        ({}, ["IPv4"], "SingleStack"),
        ({"ipFamilyPolicy": "PreferDualStack"}, ["IPv4"], "PreferDualStack"),
        ({"clusterIP": "None"}, BOTH, "RequireDualStack"),
        ({"clusterIP": "None", "ipFamilyPolicy": "RequireDualStack"}, BOTH, "RequireDualStack"),
        ({"clusterIP": "None", "ipFamilyPolicy": "SingleStack"}, ["IPv4"], "SingleStack"),
        ({"clusterIP": "None", "selector": {"a": "b"}}, ["IPv4"], "SingleStack"),
    ],
)
def test_families_are_filled_in(spec: Obj, families: list[str], policy: str) -> None:
    assert set_families(spec, {}) == []
    assert (spec["ipFamilies"], spec["ipFamilyPolicy"]) == (families, policy)


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"ipFamilies": ["IPv6"]}, "spec.ipFamilies[0]"),
        ({"ipFamilies": BOTH, "ipFamilyPolicy": "SingleStack"}, "spec.ipFamilyPolicy"),
        ({"ipFamilyPolicy": "RequireDualStack"}, "spec.ipFamilyPolicy"),
        ({"clusterIPs": ["::1"]}, "spec.clusterIPs[0]"),
        ({"ipFamilies": BOTH}, "spec.ipFamilyPolicy"),
    ],
)
def test_families_that_the_cluster_does_not_have(spec: Obj, path: str) -> None:
    assert [e.path for e in set_families(spec, {})] == [path]


FREE: Obj = {"clusterIP": "None", "clusterIPs": ["None"]}


@pytest.mark.parametrize(
    ("spec", "families", "text"),
    [
        ({}, BOTH, ""),
        ({"ipFamilyPolicy": "SingleStack", "ipFamilies": BOTH}, ["IPv4"], ""),
        ({"ipFamilies": ["IPv4"]}, ["IPv4"], "must be 'SingleStack' to release the secondary IP"),
    ],
)
def test_families_of_a_changed_service(spec: Obj, families: list[str], text: str) -> None:
    spec = FREE | spec
    before = FREE | {"ipFamilies": BOTH, "ipFamilyPolicy": "RequireDualStack"}
    errors = set_families(spec, before)
    assert spec["ipFamilies"] == families
    assert [text in str(e) for e in errors] == ([True] if text else [])


def a_pool(first: int = 30000, last: int = 30009) -> Pool:
    return Pool(first, last, 2, random.Random(1), Numbers())


def test_a_dry_run_takes_numbers_that_nobody_gets() -> None:
    ports = DryPorts(a_pool())
    assert ports.take(7) == ""
    assert ports.take(7) == "provided port is already allocated"
    assert ports.take_any() == 8
    assert DryPorts(a_pool()).take_any() == DRY_PORT_FIRST


def test_a_write_takes_numbers_of_the_range_once() -> None:
    pool = a_pool()
    with Reservation() as reserved:
        ports = ReservedPorts(pool, reserved)
        assert ports.take(30001) == ""
        assert "already allocated" in ports.take(30001)
        assert "The range of valid ports is 30000-30009" in ports.take(1)
    assert pool.reserved_count == 0


def a_cidr(*cidrs: str, ready: str = "True", **metadata: str) -> Obj:
    status = {"conditions": [{"type": "Ready", "status": ready}]}
    return {"metadata": {"name": "m"} | metadata, "spec": {"cidrs": list(cidrs)}, "status": status}


@pytest.mark.parametrize(
    ("cidr", "networks"),
    [
        (a_cidr("10.9.0.0/28", "fd00::/112"), ["10.9.0.0/28"]),
        (a_cidr("10.9.0.0/28", ready="False"), []),
        (a_cidr("10.9.0.0/28", deletionTimestamp="2026-01-01T00:00:00Z"), []),
        (None, []),
    ],
)
def test_what_a_range_offers(cidr: Obj | None, networks: list[str]) -> None:
    assert [str(n) for n in ready_networks(cidr)] == networks


def test_ranges_that_overlap_give_a_number_once() -> None:
    ranges = ServiceRanges(IPv4Network("10.0.0.0/30"), random.Random(1))
    ranges.load({"k": a_cidr("10.0.0.0/29")})
    given = [found[1] & 7 for _ in range(6) if (found := ranges.reserve_any())]
    assert sorted(given) == [1, 2, 3, 4, 5, 6]
    assert ranges.reserve_any() is None
    ranges.load({"k": a_cidr("10.0.0.0/29", ready="False")})
    assert ranges.of(int(IPv4Network("10.0.0.6/32").network_address)) is None
