"""What the Ingress controller is told."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

DATA_PLANES: Final = ("builtin", "nginx")
HTTP_PORT: Final = 80
HTTPS_PORT: Final = 443


@dataclass(frozen=True, slots=True)
class IngressConfig:
    kubeconfig: Path
    address: str  # Where it listens, and what Ingresses show as their address.
    directory: Path  # For nginx's files; nobody else's.
    data_plane: str = DATA_PLANES[0]
    http_port: int = HTTP_PORT
    https_port: int = HTTPS_PORT
    settle_seconds: float = 0.05  # Changes within so long are obeyed together.
    patience_seconds: float = 2.0  # What is made whole by then is no event: objects come in turn.
