"""What the cloud controller manager is told."""

from dataclasses import dataclass
from pathlib import Path

from tiphys.client.metrics_page import MetricsConfig


@dataclass(frozen=True, slots=True)
class CloudConfig:
    """provider: "" for none. balances: whether new Services get load balancers."""

    kubeconfig: Path
    provider: str = ""
    load_balancer_pool: str = ""
    cloud_config: Path | None = None  # Of Libcloud: which drivers, where their credentials are.
    cluster_cidr: str = ""  # Routes within it are ours.
    balances: bool = True
    identity: str = "tiphys"
    metrics: MetricsConfig | None = None
