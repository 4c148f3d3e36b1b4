"""The PodSandboxConfig of a pod.

Upstream: pkg/kubelet/kuberuntime/kuberuntime_sandbox.go (generatePodSandboxConfig).
"""

from pathlib import Path
from typing import Any, Final

from tiphys.api.meta import Obj, annotations_of, at, labels_of, name_of, namespace_of, uid_of
from tiphys.kubelet import security
from tiphys.kubelet.cgroups import pod_cgroup, pod_resources
from tiphys.kubelet.dns import ClusterDNS, resolver_of, sandbox_host_name
from tiphys.kubelet.pod_spec import containers_of, is_host_network, sidecars_of
from tiphys.kubelet.runtime_state import POD_NAME, POD_NAMESPACE, POD_UID

# Upstream: pkg/kubelet/sysctl/safe_sysctls.go.
SAFE_SYSCTLS: Final = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
    }
)


def pod_log_directory(root: Path, pod: Obj) -> Path:
    """`<root>/<namespace>_<name>_<uid>`."""
    return root / f"{namespace_of(pod)}_{name_of(pod)}_{uid_of(pod)}"


def sandbox_config(
    pod: Obj, *, attempt: int, logs_root: Path, dns: ClusterDNS, cgroup_root: str
) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name_of(pod),
            "namespace": namespace_of(pod),
            "uid": uid_of(pod),
            "attempt": attempt,
        },
        "hostname": sandbox_host_name(pod, dns.domain),
        "log_directory": str(pod_log_directory(logs_root, pod)),
        "dns_config": resolver_of(pod, dns).to_cri(),
        "port_mappings": port_mappings(pod),
        "labels": pod_labels(pod),
        "annotations": {
            **annotations_of(pod),
            "kubernetes.io/config.source": "api",
        },
        "linux": {
            "cgroup_parent": pod_cgroup(cgroup_root, pod),
            "security_context": security.sandbox_context(pod),
            "sysctls": {
                sysctl_name(s["name"]): s.get("value", "")
                for s in at(pod, "spec", "securityContext", "sysctls", default=[])
            },
            "resources": pod_resources(pod),
        },
    }


def pod_labels(pod: Obj) -> dict[str, str]:
    return {
        **labels_of(pod),
        POD_NAME: name_of(pod),
        POD_NAMESPACE: namespace_of(pod),
        POD_UID: uid_of(pod),
    }


def sysctl_name(name: str) -> str:
    """Slashes may separate too; then dots belong to the name (of a device)."""
    if "/" in name and ("." not in name or name.index("/") < name.index(".")):
        return name.replace(".", "\0").replace("/", ".").replace("\0", "/")
    return name


def port_mappings(pod: Obj) -> list[dict[str, Any]]:
    if is_host_network(pod):
        return []
    return [
        {
            "protocol": port.get("protocol") or "TCP",
            "container_port": port["containerPort"],
            "host_port": port["hostPort"],
            "host_ip": port.get("hostIP") or "",
        }
        for container in [*sidecars_of(pod), *containers_of(pod, "main")]
        for port in container.get("ports") or []
        if port.get("hostPort")
    ]
