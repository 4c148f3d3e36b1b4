"""The processes of a profile's local nodes, and what each is told."""

from pathlib import Path
from typing import Final

from tiphys.cluster import access
from tiphys.cluster.components import CONTROL, KUBELET, RUNTIME, STATE, Work, component
from tiphys.cluster.profile import Node, Profile
from tiphys.cluster.supervisor import Component
from tiphys.cni.routed_veth import RoutedVethNetwork
from tiphys.dns import run as dns
from tiphys.dns.config import DnsConfig
from tiphys.dns.forward import machine_resolvers
from tiphys.kubelet import run as kubelet
from tiphys.kubelet.config import KubeletConfig
from tiphys.proxy import run as proxy
from tiphys.proxy.config import ProxyConfig
from tiphys.runtime import run as runtime
from tiphys.runtime.config import RuntimeConfig
from tiphys.runtime.images import registry_run as registry

REGISTRY_PORT: Final = 5000
MTU_DEFAULT: Final = 1500


def node_components(profile: Profile) -> list[Component]:
    """The registry, and every process of every node."""
    found = [component(profile, "registry", STATE, lambda: registry.run(registry_config(profile)))]
    for node in profile.nodes:
        found += _of_node(profile, node)
    return found


def _of_node(profile: Profile, node: Node) -> list[Component]:
    works: list[tuple[str, int, Work]] = [
        ("runtime", RUNTIME, lambda: runtime.run(runtime_config(profile, node))),
        ("kubelet", KUBELET, lambda: kubelet.run(kubelet_config(profile, node))),
        ("proxy", CONTROL, lambda: proxy.run(proxy_config(profile, node))),
        ("dns", CONTROL, lambda: dns.run(dns_config(profile))),
    ]
    return [component(profile, name, stage, work, node) for name, stage, work in works]


def registry_config(profile: Profile) -> registry.RegistryConfig:
    return registry.RegistryConfig(
        directory=str(profile.cache / "registry"), host=profile.gateway, port=REGISTRY_PORT
    )


def runtime_config(profile: Profile, node: Node) -> RuntimeConfig:
    directory, run = profile.node_directory(node), profile.node_run_directory(node)
    return RuntimeConfig(
        profile=profile.name,
        node_name=node.name,
        socket_path=str(run / "runtime.sock"),
        root_dir=str(directory / "runtime"),
        state_dir=str(run / "runtime"),
        cgroup_root=cgroup_root(profile, node),
        registry_mirrors={"*": [f"http://{profile.gateway}:{REGISTRY_PORT}"]},
        network=RoutedVethNetwork(directory / "cni", mtu=MTU_DEFAULT),
    )


def cgroup_root(profile: Profile, node: Node) -> str:
    """Where a node's `kubepods` begins, below the cgroup mount."""
    return f"/tiphys/{profile.name}/{node.name}"


def kubelet_config(profile: Profile, node: Node) -> KubeletConfig:
    directory, run = profile.node_directory(node), profile.node_run_directory(node)
    return KubeletConfig(
        kubeconfig=access.path_for(profile, "kubelet", node),
        node_name=node.name,
        node_ip=node.address,
        runtime_socket=str(run / "runtime.sock"),
        root_dir=directory / "kubelet",
        pod_logs_dir=Path("/var/log/pods"),
        tls_cert_file=profile.pki / f"kubelet-{node.name}-serving.crt",
        tls_key_file=profile.pki / f"kubelet-{node.name}-serving.key",
        client_ca_file=profile.pki / "client-ca.crt",
        cluster_dns=(profile.dns_service,),
        cgroup_root=cgroup_root(profile, node),
    )


def proxy_config(profile: Profile, node: Node) -> ProxyConfig:
    return ProxyConfig(
        kubeconfig=access.path_for(profile, "proxy"),
        node_name=node.name,
        cluster_cidr=profile.pod_cidr,
        node_addresses=(node.address,),
        service_cidr=profile.service_cidr,
        mode=profile.proxy_mode,
    )


def dns_config(profile: Profile) -> DnsConfig:
    return DnsConfig(
        kubeconfig=access.path_for(profile, "dns"),
        listen_addresses=(profile.dns_service,),
        service_cidrs=(profile.service_cidr,),
        pod_cidrs=(profile.pod_cidr,),
        upstreams=machine_resolvers(),
    )
