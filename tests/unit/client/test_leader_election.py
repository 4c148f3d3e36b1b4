"""Who may take a lease, and what it then says."""

from datetime import UTC, datetime

import pytest

from tiphys.api.meta import Obj
from tiphys.client.leader_election import Observed, is_free, wanted_spec

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HELD: Obj = {"holderIdentity": "b", "leaseDurationSeconds": 15, "leaseTransitions": 3}
SEEN = Observed(("b", "t"), 100.0)


@pytest.mark.parametrize(
    ("spec", "seen", "monotonic", "free"),
    [
        pytest.param({}, None, 0.0, True, id="nobody-holds-it"),
        pytest.param({"holderIdentity": "a"}, None, 0.0, True, id="ours"),
        pytest.param(HELD, None, 1e9, False, id="never-seen-before"),
        pytest.param(HELD, SEEN, 114.9, False, id="still-valid"),
        pytest.param(HELD, SEEN, 115.0, True, id="run-out"),
    ],
)
def test_who_may_take_a_lease(
    spec: Obj, seen: Observed | None, monotonic: float, free: bool
) -> None:
    assert is_free(spec, "a", seen, monotonic) is free


def test_taking_over_counts_a_transition_and_renewing_does_not() -> None:
    taken = wanted_spec(HELD, "a", NOW)
    assert (taken["holderIdentity"], taken["leaseTransitions"]) == ("a", 4)
    assert taken["acquireTime"] == "2026-01-01T00:00:00.000000Z"
    renewed = wanted_spec(taken, "a", NOW.replace(year=2027))
    assert (renewed["leaseTransitions"], renewed["acquireTime"]) == (4, taken["acquireTime"])
