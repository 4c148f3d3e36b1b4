"""What the DNS server is told."""

from dataclasses import dataclass
from pathlib import Path

from tiphys.client.metrics_page import MetricsConfig


@dataclass(frozen=True, slots=True)
class DnsConfig:
    kubeconfig: Path
    listen_addresses: tuple[str, ...]  # The tenth service address, in the node's namespace.
    port: int = 53
    node_name: str = ""  # Named in events.
    cluster_domain: str = "cluster.local"
    service_cidrs: tuple[str, ...] = ()
    pod_cidrs: tuple[str, ...] = ()
    # Where real resolvers are named, the first file that names any; never a 127.0.0.53 stub.
    resolver_files: tuple[Path, ...] = ()
    metrics: MetricsConfig | None = None
