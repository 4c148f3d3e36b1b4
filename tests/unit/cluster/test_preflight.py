"""What a machine lacks, each with what to do."""

import pytest

from tiphys.cluster import kernel_features, preflight, rights

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
    findings = preflight.kernel_findings(["tmpfs", "proc", "sysfs"])
    assert ["overlay" in f.what and "modprobe overlay" in f.fix for f in findings] == [True]


ALL_RIGHTS = (1 << 41) - 1


@pytest.mark.parametrize(
    ("bits", "names"),
    [
        pytest.param(ALL_RIGHTS, [], id="all"),
        pytest.param(ALL_RIGHTS & ~(1 << 21), ["CAP_SYS_ADMIN"], id="no-sys-admin"),
        pytest.param(
            ALL_RIGHTS & ~(1 << 12 | 1 << 27), ["CAP_NET_ADMIN", "CAP_MKNOD"], id="two-missing"
        ),
    ],
)
def test_each_missing_right_is_named(bits: int, names: list[str]) -> None:
    found = rights.missing(bits)
    assert [f.what.split()[2] for f in found] == names
    assert all(n.removeprefix("CAP_") in f.fix for n, f in zip(names, found, strict=True))


def test_each_missing_feature_is_named_with_its_option() -> None:
    missing = ["veth links", "nftables fib"]
    found = kernel_features.findings(missing)
    assert [f.what for f in found] == [f"the kernel has no {m}" for m in missing]
    assert ["CONFIG_VETH" in found[0].fix, "CONFIG_NFT_FIB_IPV4" in found[1].fix] == [True, True]


def test_every_feature_that_is_tried_can_be_named() -> None:
    names = [f.name for f in kernel_features.RULES]
    names += [f"{n} links" for n in kernel_features.LINKS]
    assert len(kernel_features.findings(names)) == len(names)


@pytest.mark.parametrize(
    ("mode", "present", "packages"),
    [
        pytest.param("nftables", [], ["nftables"], id="nothing-there"),
        pytest.param("nftables", [kernel_features.NFT], [], id="enough"),
        pytest.param(
            "userspace", [kernel_features.NFT], [], id="userspace-redirects-with-nftables"
        ),
        pytest.param("iptables", [kernel_features.NFT], ["iptables", "iptables"], id="no-iptables"),
    ],
)
def test_programs_that_a_proxy_mode_needs(
    mode: str, present: list[str], packages: list[str]
) -> None:
    findings = preflight.programs(mode, present.__contains__)
    assert [f.fix.strip("`").split()[-1] for f in findings] == packages
    assert all(f.fatal for f in findings)
