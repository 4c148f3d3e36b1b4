"""Whoever leaves last puts the machine's forwarding back, whoever came first.

The setting belongs to a network namespace, so the test has one of its own.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tiphys.cluster import forwarding, node_network
from tiphys.lib import sysctl
from tiphys.lib.netlink import netns

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]


@pytest.fixture
def own_network() -> Iterator[None]:
    path = Path(f"/run/netns/forwarding-{os.getpid()}")
    netns.create(path)
    try:
        with netns.inside(path):
            yield
    finally:
        netns.delete(path)


@pytest.mark.parametrize("before", ["0", "1"])
def test_two_come_and_two_go(own_network: None, tmp_path: Path, before: str) -> None:
    record = tmp_path / "record"
    sysctl.write(forwarding.NAME, before)
    forwarding.enable(record)
    forwarding.enable(record)  # The second finds it on.
    assert sysctl.read(forwarding.NAME) == "1"
    forwarding.restore(record)  # Called for the last one only.
    assert sysctl.read(forwarding.NAME) == before
    assert not record.exists()
    forwarding.restore(record)
    assert sysctl.read(forwarding.NAME) == before


def test_status_says_when_somebody_switched_it_off(own_network: None) -> None:
    sysctl.write(forwarding.NAME, "1")
    assert node_network.changed_host_sysctls() == []
    sysctl.write(forwarding.NAME, "0")
    assert node_network.changed_host_sysctls() == ["net.ipv4.ip_forward is 0, wanted 1"]
