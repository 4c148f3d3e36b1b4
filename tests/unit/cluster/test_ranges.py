"""Address ranges that nothing else uses."""

import pytest

from tiphys.cluster.ranges import CANDIDATES_MAX, NoFreeRange, candidate, choose


@pytest.mark.parametrize(
    ("taken", "number"),
    [
        pytest.param([], 0, id="nothing-taken"),
        pytest.param([("192.168.49.0/24", "x")], 1, id="node-range-taken"),
        pytest.param([("10.96.0.5/32", "x")], 1, id="an-address-of-the-services"),
        pytest.param([("10.243.0.0/16", "x")], 0, id="another-candidates-pods"),
        pytest.param([("172.17.0.0/16", "docker0")], 0, id="docker-elsewhere"),
        pytest.param([("10.244.0.0/15", "x"), ("10.97.0.1/24", "y")], 2, id="two-in-the-way"),
    ],
)
def test_choose(taken: list[tuple[str, str]], number: int) -> None:
    assert choose(taken) == candidate(number)


def test_when_all_are_taken_it_says_by_whom() -> None:
    with pytest.raises(NoFreeRange, match=r"192\.168\.49\.0/24 overlaps 192\.168\.0\.0/16 \(vpn\)"):
        choose([("192.168.0.0/16", "vpn")])


def test_candidates_do_not_overlap_each_other() -> None:
    for number in range(CANDIDATES_MAX):
        others = [candidate(n) for n in range(CANDIDATES_MAX) if n != number]
        taken = [(r, "x") for o in others for r in (o.node, o.pod, o.service)]
        assert choose(taken) == candidate(number)
