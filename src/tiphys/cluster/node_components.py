"""The processes of a profile's local nodes, and what each is told."""

import asyncio
from pathlib import Path
from typing import Final, NoReturn

from tiphys.client.metrics_page import MetricsConfig
from tiphys.client.rest import Client
from tiphys.cluster import access, extra_config, gateway, node_network
from tiphys.cluster.components import CONTROL, KUBELET, RUNTIME, STATE, Work, component
from tiphys.cluster.gateway import REGISTRY_ADDRESS, REGISTRY_PORT
from tiphys.cluster.metrics_ports import DNS_PORT, PROXY_PORT, RUNTIME_PORT
from tiphys.cluster.profile import Node, Profile
from tiphys.cluster.supervisor import Component
from tiphys.cni.routed_veth import RoutedVethNetwork
from tiphys.cri.schema import schema
from tiphys.dns import run as dns
from tiphys.dns.config import DnsConfig
from tiphys.kubelet import certificate_store
from tiphys.kubelet import run as kubelet
from tiphys.kubelet.config import KubeletConfig
from tiphys.lib.resolv_conf import RESOLVER_FILES
from tiphys.network import run as network
from tiphys.network.config import NetworkConfig
from tiphys.network.plan import Overlay, pod_mtu
from tiphys.policy import run as policy
from tiphys.policy.config import PolicyConfig
from tiphys.proxy import run as proxy
from tiphys.proxy.config import ProxyConfig
from tiphys.runtime import run as runtime
from tiphys.runtime import zygote_launch
from tiphys.runtime.config import RuntimeConfig

MTU_DEFAULT: Final = 1500


def node_components(profile: Profile) -> list[Component]:
    """What the host does for its nodes, and every process of every node."""
    schema()  # Runtimes and kubelets all need it: parsed once, before the fork.
    found = [component(profile, "gateway", STATE, lambda: gateway.run(profile))]
    if profile.running_nodes:
        found.append(_zygote(profile))
    for node in profile.running_nodes:
        found += _of_node(profile, node)
    return found


def _zygote(profile: Profile) -> Component:
    """One for all nodes: a fresh interpreter shares no memory with anybody."""
    title = f"tiphys: zygote [{profile.name}]"

    def main() -> NoReturn:
        zygote_launch.become(str(profile.zygote_socket), title)

    return Component("zygote", title, profile.logs / "zygote.log", main, stage=RUNTIME)


async def _proxy(profile: Profile, node: Node) -> None:
    """All only write the kernel's tables when something changed: they share a process."""
    kubeconfig = access.path_for(profile, "proxy")
    client = Client.from_kubeconfig(kubeconfig, user_agent="kube-proxy", multiplexed=True)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(proxy.run(proxy_config(profile, node), client))
            group.create_task(network.run(network_config(profile, node), client))
            group.create_task(policy.run(PolicyConfig(node.name), client))
    finally:
        client.close()


def _of_node(profile: Profile, node: Node) -> list[Component]:
    works: list[tuple[str, int, Work]] = [
        ("runtime", RUNTIME, lambda: runtime.run(runtime_config(profile, node))),
        ("kubelet", KUBELET, lambda: kubelet.run(kubelet_config(profile, node))),
        ("proxy", CONTROL, lambda: _proxy(profile, node)),
        ("dns", CONTROL, lambda: dns.run(dns_config(profile, node))),
    ]
    return [component(profile, name, stage, work, node) for name, stage, work in works]


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
        zygote_socket=str(profile.zygote_socket),
        namespaces=[(str(path), kind) for path, kind in node_network.namespaces(profile, node)],
        network=RoutedVethNetwork(directory / "cni", mtu=_pod_mtu(profile)),
        metrics=MetricsConfig(node.address, RUNTIME_PORT),
    )


def _pod_mtu(profile: Profile) -> int:
    return pod_mtu(MTU_DEFAULT, Overlay(profile.overlay), one_link=not profile.uses_host_network)


def cgroup_root(profile: Profile, node: Node) -> str:
    """Where a node's `kubepods` begins, below the cgroup mount."""
    return f"/tiphys/{profile.name}/{node.name}"


def kubelet_config(profile: Profile, node: Node) -> KubeletConfig:
    directory, run = profile.node_directory(node), profile.node_run_directory(node)
    cert_file, key_file = serving_files(profile, node)
    config = KubeletConfig(
        kubeconfig=access.path_for(profile, "kubelet", node),
        node_name=node.name,
        node_ip=node.address,
        runtime_socket=str(run / "runtime.sock"),
        root_dir=directory / "kubelet",
        pod_logs_dir=Path("/var/log/pods"),
        tls_cert_file=cert_file,
        tls_key_file=key_file,
        certificate_directory=profile.pki if profile.is_joined else None,
        client_ca_file=profile.pki / "client-ca.crt",
        cluster_dns=(profile.dns_service,),
        cgroup_root=cgroup_root(profile, node),
        cpus=profile.cpus,
        memory_bytes=profile.memory_bytes,
        external_cloud=profile.external_cloud,
    )
    return extra_config.applied(profile.extra_config, "kubelet", config)


def serving_files(profile: Profile, node: Node) -> tuple[Path, Path]:
    """Certificate and key of the kubelet's server."""
    if profile.is_joined:
        both = certificate_store.current(profile.pki, certificate_store.SERVER)
        return both, both
    stem = f"kubelet-{node.name}-serving"
    return profile.pki / f"{stem}.crt", profile.pki / f"{stem}.key"


def proxy_config(profile: Profile, node: Node) -> ProxyConfig:
    config = ProxyConfig(
        node_name=node.name,
        cluster_cidr=profile.pod_cidr,
        node_addresses=(node.address,),
        service_cidr=profile.service_cidr,
        mode=profile.proxy_mode,
        metrics=MetricsConfig(node.address, PROXY_PORT),
    )
    return extra_config.applied(profile.extra_config, "kube-proxy", config)


def network_config(profile: Profile, node: Node) -> NetworkConfig:
    return NetworkConfig(
        node_name=node.name,
        node_address=node.address,
        overlay=Overlay(profile.overlay),
    )


def dns_config(profile: Profile, node: Node) -> DnsConfig:
    return DnsConfig(
        kubeconfig=access.path_for(profile, "dns"),
        listen_addresses=(profile.dns_service,),
        node_name=node.name,
        service_cidrs=(profile.service_cidr,),
        pod_cidrs=(profile.pod_cidr,),
        resolver_files=RESOLVER_FILES,
        metrics=MetricsConfig(node.address, DNS_PORT),
    )
