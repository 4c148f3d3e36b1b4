"""The processes of a profile's local nodes, and what each is told."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

from tiphys.client.metrics_page import MetricsConfig
from tiphys.client.rest import Client
from tiphys.cluster import access, node_network
from tiphys.cluster.components import CONTROL, KUBELET, RUNTIME, STATE, Work, component
from tiphys.cluster.metrics_ports import DNS_PORT, PROXY_PORT, RUNTIME_PORT
from tiphys.cluster.pki import FRONT_PROXY
from tiphys.cluster.profile import MASTER_PORT, Node, Profile
from tiphys.cluster.supervisor import Component
from tiphys.cni.routed_veth import RoutedVethNetwork
from tiphys.dns import run as dns
from tiphys.dns.config import DnsConfig
from tiphys.kubelet import run as kubelet
from tiphys.kubelet.config import KubeletConfig
from tiphys.lib.resolv_conf import RESOLVER_FILES
from tiphys.lib.tasks import keep_running
from tiphys.metrics_server import run as metrics_server
from tiphys.metrics_server.config import MetricsServerConfig
from tiphys.network import api_balancer
from tiphys.network import host_run as host_network
from tiphys.network import run as network
from tiphys.network.api_balancer import ApiBalancerConfig
from tiphys.network.config import NetworkConfig
from tiphys.network.plan import Overlay, pod_mtu
from tiphys.proxy import run as proxy
from tiphys.proxy.config import ProxyConfig
from tiphys.runtime import run as runtime
from tiphys.runtime import zygote_launch
from tiphys.runtime.config import RuntimeConfig
from tiphys.runtime.images import bundled
from tiphys.runtime.images import registry_run as registry
from tiphys.runtime.images.registry_storage import RegistryStorage

# On a node's loopback only: neither pods nor the network reach it, and what the machine has on
# the port is in nobody's way. Below the ports that are given out to Services and to clients.
REGISTRY_ADDRESS: Final = "127.0.0.1"
REGISTRY_PORT: Final = 10270
MTU_DEFAULT: Final = 1500


def node_components(profile: Profile) -> list[Component]:
    """The registry, and every process of every node."""
    found = [component(profile, "gateway", STATE, lambda: _gateway(profile))]
    if profile.running_nodes:
        found.append(_zygote(profile))
    for node in profile.running_nodes:
        found += _of_node(profile, node)
    return found


def zygote_socket(profile: Profile) -> Path:
    return profile.run_directory / "zygote.sock"


def _zygote(profile: Profile) -> Component:
    """One for all nodes: a fresh interpreter shares no memory with anybody."""
    title = f"tiphys: zygote [{profile.name}]"

    def main() -> NoReturn:
        zygote_launch.become(str(zygote_socket(profile)), title)

    return Component("zygote", title, profile.logs / "zygote.log", main, stage=RUNTIME)


async def _gateway(profile: Profile) -> None:
    """What the host does for its nodes, in one process: images, ways to them, what they use."""
    bundled.build(RegistryStorage(registry_directory(profile)))
    async with asyncio.TaskGroup() as group:
        group.create_task(host_network.run(host_network_config(profile)))
        measure = partial(metrics_server.run, metrics_server_config(profile))
        group.create_task(keep_running("metrics server", measure))
        if profile.masters:
            group.create_task(api_balancer.run(api_balancer_config(profile)))


async def _runtime(profile: Profile, node: Node) -> None:
    """Containers, and the images for them: the registry answers where only the node can ask."""
    async with asyncio.TaskGroup() as group:
        group.create_task(runtime.run(runtime_config(profile, node)))
        # A pod in the node's own network may have taken the port: containers must not end for it.
        serve = partial(registry.run, registry_config(profile))
        group.create_task(keep_running("registry", serve))


async def _proxy(profile: Profile, node: Node) -> None:
    """Both only write the kernel's tables when something changed: they share a process."""
    kubeconfig = access.path_for(profile, "proxy")
    client = Client.from_kubeconfig(kubeconfig, user_agent="kube-proxy")
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(proxy.run(proxy_config(profile, node), client))
            group.create_task(network.run(network_config(profile, node), client))
    finally:
        client.close()


def _of_node(profile: Profile, node: Node) -> list[Component]:
    works: list[tuple[str, int, Work]] = [
        ("runtime", RUNTIME, lambda: _runtime(profile, node)),
        ("kubelet", KUBELET, lambda: kubelet.run(kubelet_config(profile, node))),
        ("proxy", CONTROL, lambda: _proxy(profile, node)),
        ("dns", CONTROL, lambda: dns.run(dns_config(profile, node))),
    ]
    return [component(profile, name, stage, work, node) for name, stage, work in works]


def registry_config(profile: Profile) -> registry.RegistryConfig:
    return registry.RegistryConfig(
        directory=registry_directory(profile),
        host=REGISTRY_ADDRESS,
        port=REGISTRY_PORT,
        bundle=False,  # The gateway process does that, once for all nodes.
    )


def registry_directory(profile: Profile) -> str:
    return str(profile.cache / "registry")


def runtime_config(profile: Profile, node: Node) -> RuntimeConfig:
    directory, run = profile.node_directory(node), profile.node_run_directory(node)
    return RuntimeConfig(
        profile=profile.name,
        node_name=node.name,
        socket_path=str(run / "runtime.sock"),
        root_dir=str(directory / "runtime"),
        state_dir=str(run / "runtime"),
        cgroup_root=cgroup_root(profile, node),
        registry_mirrors={"*": [f"http://{REGISTRY_ADDRESS}:{REGISTRY_PORT}"]},
        zygote_socket=str(zygote_socket(profile)),
        namespaces=[(str(path), kind) for path, kind in node_network.namespaces(profile, node)],
        network=RoutedVethNetwork(directory / "cni", mtu=_pod_mtu(profile)),
        metrics=MetricsConfig(node.address, RUNTIME_PORT),
    )


def _pod_mtu(profile: Profile) -> int:
    return pod_mtu(MTU_DEFAULT, Overlay(profile.overlay), one_link=True)


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
        node_name=node.name,
        cluster_cidr=profile.pod_cidr,
        node_addresses=(node.address,),
        service_cidr=profile.service_cidr,
        mode=profile.proxy_mode,
        metrics=MetricsConfig(node.address, PROXY_PORT),
    )


def network_config(profile: Profile, node: Node) -> NetworkConfig:
    return NetworkConfig(
        node_name=node.name,
        node_address=node.address,
        overlay=Overlay(profile.overlay),
    )


def host_network_config(profile: Profile) -> host_network.HostNetworkConfig:
    return host_network.HostNetworkConfig(
        kubeconfig=access.path_for(profile, "proxy"),
        node_cidr=profile.node_cidr,
        pod_cidr=profile.pod_cidr,
        shared_cidrs=(profile.service_cidr, profile.load_balancer_pool),
    )


def api_balancer_config(profile: Profile) -> ApiBalancerConfig:
    return ApiBalancerConfig(
        listen=[(profile.gateway, profile.api_port), ("127.0.0.1", profile.api_port)],
        servers=[(node.address, MASTER_PORT) for node in profile.masters],
        ca_file=profile.pki / "ca.crt",
    )


def metrics_server_config(profile: Profile) -> MetricsServerConfig:
    pki = profile.pki
    return MetricsServerConfig(
        kubeconfig=access.path_for(profile, "metrics-server"),
        host=profile.gateway,
        tls_cert=pki / "metrics-server-serving.crt",
        tls_key=pki / "metrics-server-serving.key",
        requestheader_ca=pki / "front-proxy-ca.crt",
        requestheader_allowed_names=(FRONT_PROXY,),
        history_file=profile.directory / "metrics" / "history",
        client_ca=pki / "client-ca.crt",
        kubelet_ca=pki / "ca.crt",
        kubelet_client_cert=pki / "metrics-server.crt",
        kubelet_client_key=pki / "metrics-server.key",
    )


def dns_config(profile: Profile, node: Node) -> DnsConfig:
    return DnsConfig(
        kubeconfig=access.path_for(profile, "dns"),
        listen_addresses=(profile.dns_service,),
        service_cidrs=(profile.service_cidr,),
        pod_cidrs=(profile.pod_cidr,),
        resolver_files=RESOLVER_FILES,
        metrics=MetricsConfig(node.address, DNS_PORT),
    )
