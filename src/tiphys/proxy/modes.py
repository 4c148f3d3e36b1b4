"""The modes: which writer each has, and cleaning up after the others.

A mode's module is imported only where it is used: the memory of every node counts.
Upstream: cmd/kube-proxy/app/server_linux.go (createProxier, platformCleanup).
"""

import logging
from pathlib import Path
from typing import Final

from tiphys.proxy import nftables
from tiphys.proxy.config import MODES, ProxyConfig
from tiphys.proxy.nft_kernel import NftKernel
from tiphys.proxy.plan import NodeView
from tiphys.proxy.writer import ProxyError, Writer

log = logging.getLogger(__name__)

_LEGACY_TABLES: Final = Path("/proc/self/net/ip_tables_names")
_IPTABLES_SAVE: Final = Path("/usr/sbin/iptables-save")


def node_view(config: ProxyConfig) -> NodeView:
    return NodeView(config.node_name, config.node_addresses)


def make_writer(config: ProxyConfig) -> Writer:
    """Raises ValueError for a mode that is none."""
    if config.mode == "nftables":
        return nftables.NftablesWriter(config.cluster_cidr)
    if config.mode == "iptables":
        from tiphys.proxy.iptables import IptablesWriter

        return IptablesWriter(config.cluster_cidr, config.service_cidr)
    if config.mode == "userspace":
        from tiphys.proxy.userspace import UserspaceWriter

        return UserspaceWriter(node_view(config), config.cluster_cidr)
    raise ValueError(f'no proxy mode "{config.mode}": use one of {", ".join(MODES)}')


def clean_up_others(mode: str) -> None:
    """Take away what another mode left in this network namespace. Done after our rules are there.

    The userspace mode uses the nftables table, so the two replace each other's.
    """
    try:
        if mode == "iptables":
            nftables.remove()
        elif _IPTABLES_SAVE.exists() and _has_iptables():
            from tiphys.proxy import iptables

            iptables.remove()
    except ProxyError as exc:
        log.warning("rules of another mode may be left", extra={"why": str(exc)})


def remove_all() -> None:
    """Take away every rule of every mode, for a node that shares its network with others."""
    clean_up_others("iptables")
    clean_up_others("nftables")


def _has_iptables() -> bool:
    """Whether anybody used iptables in this namespace, of either kind: else nothing is imported."""
    try:
        if _LEGACY_TABLES.read_text():
            return True
    except OSError:
        pass  # The kernel has no such tables.
    kernel = NftKernel()
    try:
        return kernel.has_tables("filter", "nat", "mangle")
    except OSError:
        return True  # Not known: look closely.
    finally:
        kernel.close()
