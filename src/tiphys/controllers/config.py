"""What the controller manager is told. Upstream: kube-controller-manager's flags of these names."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tiphys.client.metrics_page import MetricsConfig

PROVISIONER: Final = "tiphys/local-path"  # Of the default StorageClass; local_path_provisioner.py.


@dataclass(frozen=True, slots=True)
class ControllersConfig:
    kubeconfig: Path
    root_ca_file: Path
    service_account_key: Path | None = None  # None = no tokens in Secrets.
    cluster_cidr: str = ""  # "" = no pod ranges are given to nodes.
    node_cidr_mask_size: int = 24
    nodes_directory: Path | None = None  # Holds the nodes' state; None = no local volumes.
    identity: str = "tiphys"
    metrics: MetricsConfig | None = None
    node_monitor_grace_seconds: float = 40.0  # --node-monitor-grace-period
