"""Identity leases: their names, their end."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tiphys.apiserver.identity_lease import LEASE_SECONDS, has_ended, identity_lease, lease_name

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_name_is_a_digest_of_the_hostname() -> None:
    name = lease_name("host")
    assert name.startswith("apiserver-")
    assert len(name) == len("apiserver-") + 26  # 16 bytes in base 32
    assert name == name.lower()
    assert name != lease_name("host2")


@pytest.mark.parametrize(
    ("change", "ended"),
    [
        ({}, False),
        ({"spec": {"leaseDurationSeconds": LEASE_SECONDS}}, True),
        ({"metadata": {"labels": {}}}, False),
        ({"metadata": {}}, False),
    ],
)
def test_only_identity_leases_that_say_nothing_are_old(change: dict[str, Any], ended: bool) -> None:
    assert has_ended(identity_lease("h", "x", NOW) | change, NOW) is ended


def test_a_lease_ends_after_its_duration() -> None:
    lease = identity_lease("h", "x", NOW)
    assert not has_ended(lease, NOW + timedelta(seconds=LEASE_SECONDS))
    assert has_ended(lease, NOW + timedelta(seconds=LEASE_SECONDS + 1))
