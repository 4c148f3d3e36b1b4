"""What kube-proxy is told. Upstream: KubeProxyConfiguration v1alpha1, as far as it is read."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProxyConfig:
    node_name: str
    cluster_cidr: str  # Pods; traffic from elsewhere to a ClusterIP is masqueraded.
    min_sync_seconds: float = 0.01  # Changes within so long are written together.
    repair_seconds: float = 30.0  # How often the kernel's state is compared with ours.
