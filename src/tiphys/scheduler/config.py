"""What the scheduler is told. Upstream: KubeSchedulerConfiguration v1, as far as it is read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tiphys.client.metrics_page import MetricsConfig

DEFAULT_NAME: Final = "default-scheduler"


@dataclass(frozen=True, slots=True)
class SchedulerConfig:
    kubeconfig: Path
    scheduler_name: str = DEFAULT_NAME
    identity: str = "tiphys"
    metrics: MetricsConfig | None = None
    pod_initial_backoff_seconds: float = 1.0
    pod_max_backoff_seconds: float = 10.0
