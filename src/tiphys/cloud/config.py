"""What the cloud controller manager is told."""

from dataclasses import dataclass
from pathlib import Path

from tiphys.client.metrics_page import MetricsConfig


@dataclass(frozen=True, slots=True)
class CloudConfig:
    kubeconfig: Path
    load_balancer_pool: str = ""  # "" = no provider: Services stay <pending>.
    identity: str = "tiphys"
    metrics: MetricsConfig | None = None
