"""What the metrics server is told. Upstream: metrics-server's flags of these names."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

PORT: Final = 4443
RESOLUTION_SECONDS: Final = 15.0  # --metric-resolution


@dataclass(frozen=True, slots=True)
class MetricsServerConfig:
    """Paths are PEM files; host is the address to serve on."""

    host: str
    tls_cert: Path
    tls_key: Path
    requestheader_ca: Path  # Only the API server's proxy may ask ...
    requestheader_allowed_names: tuple[str, ...]  # ... under one of these names.
    client_ca: Path  # Who may read the page of metrics shows a certificate of it.
    kubelet_ca: Path
    kubelet_client_cert: Path
    kubelet_client_key: Path
    history_file: Path
    port: int = PORT
    resolution_seconds: float = RESOLUTION_SECONDS
