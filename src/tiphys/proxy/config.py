"""What kube-proxy is told. Upstream: KubeProxyConfiguration v1alpha1, as far as it is read."""

from dataclasses import dataclass
from typing import Final

from tiphys.client.metrics_page import MetricsConfig

MODES: Final = ("nftables", "iptables", "userspace")


@dataclass(frozen=True, slots=True)
class ProxyConfig:
    node_name: str
    cluster_cidr: str  # Pods; traffic from elsewhere to a ClusterIP is masqueraded.
    node_addresses: tuple[str, ...]  # Where node ports are served; the first is the main one.
    service_cidr: str = ""  # Ports that no Service has are refused there (iptables mode).
    mode: str = MODES[0]
    metrics: MetricsConfig | None = None
    min_sync_seconds: float = 0.01  # Changes within so long are written together.
    repair_seconds: float = 5.0  # How often it is looked for changes by others.
