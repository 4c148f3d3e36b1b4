"""Address ranges that nothing else uses, also beside a VPN."""

import pytest

from tiphys.cluster.ranges import CANDIDATES, NoFreeRange, choose, conflicts

Taken = list[tuple[str, str]]
VPN_HALVES: Taken = [("0.0.0.0/1", "vpn"), ("128.0.0.0/1", "vpn")]
TEN: Taken = [("10.0.0.0/8", "company")]
PRIVATE: Taken = [*TEN, ("172.16.0.0/12", "company"), ("192.168.0.0/16", "company")]


@pytest.mark.parametrize(
    ("taken", "number"),
    [
        pytest.param([], 0, id="nothing-taken"),
        pytest.param([("192.168.49.0/24", "x")], 1, id="node-range-taken"),
        pytest.param([("10.96.0.5/32", "x")], 1, id="an-address-of-the-services"),
        pytest.param([("10.243.0.0/16", "x")], 0, id="another-candidates-pods"),
        pytest.param([("172.17.0.0/16", "docker0")], 0, id="docker-elsewhere"),
        pytest.param([("10.244.0.0/15", "x"), ("10.97.0.1/24", "y")], 2, id="two-in-the-way"),
        pytest.param(VPN_HALVES, 0, id="a-default-route-in-halves"),
        pytest.param([("8.0.0.0/7", "x")], 0, id="shorter-than-8"),
        pytest.param(TEN, 12, id="all-of-ten-is-avoided"),
        pytest.param([*TEN, ("172.30.0.0/16", "docker")], 13, id="ten-and-docker"),
        pytest.param([*TEN, ("172.16.0.0/12", "x")], 0, id="ten-gives-way"),
        pytest.param(
            [*TEN, ("172.16.0.0/12", "x"), ("10.96.0.10/32", "resolver")], 1, id="not-a-resolver"
        ),
        pytest.param(PRIVATE, 16, id="a-company-that-has-everything"),
    ],
)
def test_choose(taken: Taken, number: int) -> None:
    assert choose(taken) == CANDIDATES[number]


def test_a_more_specific_route_never_gives_way() -> None:
    with pytest.raises(NoFreeRange, match=r"10\.112\.0\.0/12 \(office\)"):
        choose([*PRIVATE, ("10.112.0.0/12", "office")])


def test_when_all_are_taken_it_says_by_whom() -> None:
    with pytest.raises(NoFreeRange, match=r"in the way are: 192\.168\.0\.0/16 \(vpn\), 10"):
        choose([("192.168.0.0/16", "vpn"), ("10.0.0.0/12", "a"), ("10.96.0.0/11", "b"),
                ("10.112.0.0/12", "c")])  # fmt: skip


def test_candidates_do_not_overlap_each_other() -> None:
    for ranges in CANDIDATES:
        taken = [(r, "x") for other in CANDIDATES if other != ranges for r in other.all()]
        assert choose(taken) == ranges


def test_the_pool_is_the_upper_half_of_the_node_range() -> None:
    assert CANDIDATES[0].load_balancer_pool == "192.168.49.128/25"


@pytest.mark.parametrize(
    ("taken", "found"),
    [
        pytest.param(VPN_HALVES + TEN, [], id="broad-routes-give-way"),
        pytest.param(
            [("10.96.0.0/12", "vpn")], ["10.96.0.0/16 overlaps 10.96.0.0/12 (vpn)"], id="narrower"
        ),
    ],
)
def test_conflicts_of_a_stopped_profile(taken: Taken, found: list[str]) -> None:
    assert conflicts(CANDIDATES[0].all(), taken) == found
