"""What a machine lacks, each with what to do."""

import pytest

from tiphys.cluster import preflight

DOCKER = (
    "table ip filter { chain FORWARD { type filter hook forward priority filter; policy drop; } }"
)


@pytest.mark.parametrize(
    ("chain", "count"),
    [
        pytest.param(DOCKER, 1, id="docker-drops"),
        pytest.param(DOCKER.replace("drop", "accept"), 0, id="accepted"),
        pytest.param(
            DOCKER.replace("drop; }", 'drop; iifname "ty*" accept }'), 0, id="let-through"
        ),
        pytest.param("", 0, id="no-such-chain"),
    ],
)
def test_a_firewall_that_drops_is_named(chain: str, count: int) -> None:
    assert len(preflight.forward_findings(chain)) == count


def test_every_missing_thing_is_named() -> None:
    assert preflight.missing(["tmpfs", "proc"], preflight.FILE_SYSTEMS) == ["overlay", "sysfs"]
    findings = preflight._kernel(["tmpfs", "proc", "sysfs"])
    assert ["overlay" in f.what and "modprobe overlay" in f.fix for f in findings] == [True]


@pytest.mark.parametrize(
    ("mode", "present", "packages"),
    [
        pytest.param("nftables", [], ["nftables"], id="nothing-there"),
        pytest.param("nftables", [preflight.NFT], [], id="enough"),
        pytest.param("userspace", [preflight.NFT], [], id="userspace-redirects-with-nftables"),
        pytest.param("iptables", [preflight.NFT], ["iptables", "iptables"], id="no-iptables"),
    ],
)
def test_programs_that_a_proxy_mode_needs(
    mode: str, present: list[str], packages: list[str]
) -> None:
    findings = preflight.programs(mode, present.__contains__)
    assert [f.fix.strip("`").split()[-1] for f in findings] == packages
    assert all(f.fatal for f in findings)
