"""A mode that is not used costs no memory."""

import subprocess
import sys

import pytest

from tiphys.proxy import modes
from tiphys.proxy.config import ProxyConfig

LAZY = ("iptables", "userspace", "tcp_balancer", "udp_balancer", "conntrack", "health_check")


def test_modules_are_imported_where_they_are_used() -> None:
    program = "import sys, tiphys.proxy.run; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "tiphys.proxy.nftables" in loaded, "the default: imported before the fork, and shared"
    assert not [name for name in LAZY if f"tiphys.proxy.{name}" in loaded]


def test_an_unknown_mode_is_refused() -> None:
    config = ProxyConfig("n1", "10.244.0.0/16", ("10.0.0.1",), mode="ipvs")
    with pytest.raises(ValueError, match=r"use one of nftables, iptables, userspace"):
        modes.make_writer(config)
