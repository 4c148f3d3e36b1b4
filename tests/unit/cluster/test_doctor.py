"""What the doctor makes of what it sees."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tiphys.cluster import doctor
from tiphys.cluster.profile import Roots

PATIENT = doctor.Patient(
    "dev",
    Roots(Path("/nowhere"), Path("/nowhere")),
    None,
    {},
    datetime(2026, 11, 28, tzinfo=UTC),
    False,
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("MemTotal: 9 kB\nMemAvailable: 4194304 kB\n", ""),
        ("MemAvailable: 204800 kB\n", "only 200 MB"),
        ("", ""),
    ],
)
def test_little_memory_is_told(text: str, words: str) -> None:
    found = doctor.memory(text)
    assert [words in f.what for f in found] == ([True] if words else [])


def test_a_clock_that_was_never_set_is_told() -> None:
    assert doctor.clock(datetime(1970, 1, 1, tzinfo=UTC))[0].fatal
    assert doctor.clock(PATIENT.now) == []


@pytest.mark.parametrize(
    ("environ", "missing"),
    [
        ({}, []),
        ({"HTTPS_PROXY": "http://p"}, ["127.0.0.1", "10.96.0.0/16"]),
        ({"https_proxy": "http://p", "NO_PROXY": "127.0.0.1"}, ["10.96.0.0/16"]),
        ({"HTTP_PROXY": "http://p", "no_proxy": "127.0.0.0/8, 10.0.0.0/8"}, []),
        ({"HTTP_PROXY": "http://p", "NO_PROXY": "*"}, []),
        ({"HTTP_PROXY": "http://p", "NO_PROXY": "example.org"}, ["127.0.0.1", "10.96.0.0/16"]),
    ],
)
def test_a_proxy_must_not_stand_before_the_cluster(
    environ: dict[str, str], missing: list[str]
) -> None:
    found = doctor.proxies(environ, ["127.0.0.1", "10.96.0.0/16"])
    assert [f.what.partition("look for ")[2].partition(" behind")[0] for f in found] == (
        [", ".join(missing)] if missing else []
    )


@pytest.mark.parametrize(
    ("found", "count"), [((), 1), (("192.0.2.1",), 0), (("192.0.2.1", "nonsense"), 1)]
)
def test_resolvers_must_be_addresses(found: Any, count: int) -> None:
    assert len(doctor.resolvers(found)) == count


def test_limits_that_are_too_low_are_told() -> None:
    assert doctor.limit("x", 5, 5, "fix") == []
    assert doctor.limit("x", 4, 5, "fix")[0].what == "x is 4, 5 is little"


def test_there_are_many_checks_and_each_says_what_it_needs() -> None:
    assert len({c.name for c in doctor.CHECKS}) == len(doctor.CHECKS) >= 15
    names = {c.name for c in doctor.applicable(PATIENT)}
    assert {"disk", "clock", "proxies"} <= names
    assert not names & {"rights", "leftovers", "cluster", "sysctls"}


@pytest.mark.parametrize("check", doctor.applicable(PATIENT), ids=lambda c: c.name)
def test_each_check_can_be_made_on_this_machine(check: doctor.Check) -> None:
    assert all(f.what and f.fix for f in check.look(PATIENT))


def test_what_is_looked_at() -> None:
    """Whatever else there is: these are promised (docs/commands.md)."""
    names = {check.name for check in doctor.CHECKS}
    promised = (
        "rights kernel cgroups overlayfs nftables ports disk inodes memory inotify clock dns "
        "resolvers proxies leftovers kubeconfig"
    )
    assert set(promised.split()) <= names
    assert len(names) == len(doctor.CHECKS) >= 15
    assert len(doctor.applicable(PATIENT)) >= 15  # Also without root and without a cluster.
