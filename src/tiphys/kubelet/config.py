"""What a kubelet is told at its start. Upstream: pkg/kubelet/apis/config KubeletConfiguration."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tiphys import UPSTREAM_VERSION, __version__

PORT: Final = 10250  # pkg/cluster/ports KubeletPort
MAX_PODS: Final = 110  # defaults.go MaxPods


@dataclass(frozen=True, slots=True)
class KubeletConfig:
    """Paths are absolute. cgroup_root is where `kubepods` begins, "/" for the machine's own."""

    kubeconfig: Path
    node_name: str
    node_ip: str
    runtime_socket: str
    root_dir: Path
    pod_logs_dir: Path
    tls_cert_file: Path
    tls_key_file: Path
    client_ca_file: Path
    certificate_directory: Path | None = None
    """Where the kubelet keeps and renews its own certificates; None: others make them.
    Upstream: --rotate-certificates, --rotate-server-certificates, --cert-dir."""
    cluster_dns: tuple[str, ...] = ()
    cluster_domain: str = "cluster.local"
    listen_address: str = ""
    """Where the server listens; the node's address when empty."""
    port: int = PORT
    cgroup_root: str = "/"
    machine_id: str = ""
    system_uuid: str = ""
    boot_id: str = ""
    max_pods: int = MAX_PODS
    node_labels: dict[str, str] = field(default_factory=dict)
    register_taints: tuple[dict[str, str], ...] = ()
    kubelet_version: str = f"{UPSTREAM_VERSION}+tiphys.{__version__}"
    provider_id: str = ""
    cpus: int = 0
    """How many of the machine's the node has; 0: all."""
    memory_bytes: int = 0
    external_cloud: bool = False
    """Whether a cloud's controllers complete the Node. Upstream: --cloud-provider=external."""
    resolv_conf: Path = Path("/etc/resolv.conf")
