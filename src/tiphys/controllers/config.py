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
    # The authorities that sign certificates: for clients and for kubelets' servers, each with its
    # key. None = no requests are signed. Upstream: --cluster-signing-cert-file and its like.
    client_signing: tuple[Path, Path] | None = None
    serving_signing: tuple[Path, Path] | None = None
    signing_seconds: float = 365 * 86400.0  # --cluster-signing-duration
    machines_join: bool = False  # Whether other machines may become nodes.
    cluster_cidr: str = ""  # "" = no pod ranges are given to nodes.
    node_cidr_mask_size: int = 24
    nodes_directory: Path | None = None  # Holds the nodes' state; None = no local volumes.
    identity: str = "tiphys"
    metrics: MetricsConfig | None = None
    node_monitor_grace_seconds: float = 40.0  # --node-monitor-grace-period
