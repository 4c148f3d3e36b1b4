"""Which processes a profile consists of, and what each is told.

Importing this module imports every component: only the supervisor does, once, before it forks.
"""

import socket
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, Final

from tiphys.apiserver import run as apiserver
from tiphys.apiserver.config import ApiServerConfig
from tiphys.cloud import run as cloud
from tiphys.cloud.config import CloudConfig
from tiphys.cluster import access, node_network
from tiphys.cluster.pod_network import BuiltInNetwork
from tiphys.cluster.profile import Node, Profile
from tiphys.cluster.supervisor import Component
from tiphys.controllers import run as controllers
from tiphys.controllers.config import ControllersConfig
from tiphys.dns import run as dns
from tiphys.dns.config import DnsConfig
from tiphys.dns.forward import machine_resolvers
from tiphys.kubelet import run as kubelet
from tiphys.kubelet.config import KubeletConfig
from tiphys.lib.component import run_until_signalled
from tiphys.proxy import run as proxy
from tiphys.proxy.config import ProxyConfig
from tiphys.runtime import run as runtime
from tiphys.runtime.config import RuntimeConfig
from tiphys.runtime.images import registry_run as registry
from tiphys.scheduler import run as scheduler
from tiphys.scheduler.config import SchedulerConfig

REGISTRY_PORT: Final = 5000
MTU_DEFAULT: Final = 1500
# Stages in which components are stopped, the highest first.
API, STATE, CONTROL, RUNTIME, KUBELET = 0, 1, 2, 3, 4

Work = Callable[[], Coroutine[Any, Any, None]]


def components(profile: Profile) -> list[Component]:
    """Every process in the order of starting."""
    control = [_component(profile, "apiserver", API, lambda: apiserver.run(api_server(profile)))]
    control[0] = _waiting(control[0], partial(_accepts, profile.api_port))
    if profile.nodes:
        control.append(
            _component(profile, "registry", STATE, lambda: registry.run(registry_config(profile)))
        )
    for name, work in (
        ("controllers", lambda: controllers.run(controllers_config(profile))),
        ("scheduler", lambda: scheduler.run(scheduler_config(profile))),
        ("cloud-controller-manager", lambda: cloud.run(cloud_config(profile))),
    ):
        control.append(_component(profile, name, CONTROL, work))
    for node in profile.nodes:
        control += _node_components(profile, node)
    return control


def _node_components(profile: Profile, node: Node) -> list[Component]:
    works: list[tuple[str, int, Work]] = [
        ("runtime", RUNTIME, lambda: runtime.run(runtime_config(profile, node))),
        ("kubelet", KUBELET, lambda: kubelet.run(kubelet_config(profile, node))),
        ("proxy", CONTROL, lambda: proxy.run(proxy_config(profile, node))),
        ("dns", CONTROL, lambda: dns.run(dns_config(profile))),
    ]
    return [_component(profile, name, stage, work, node) for name, stage, work in works]


def _component(
    profile: Profile, name: str, stage: int, work: Work, node: Node | None = None
) -> Component:
    label = profile.name if node is None else f"{profile.name}/{node.name}"
    log_name = name if node is None else f"{name}-{node.name}"
    return Component(
        name=name,
        title=f"tiphys: {name} [{label}]",
        log_file=profile.logs / f"{log_name}.log",
        main=partial(_main, profile, node, work),
        node=node.name if node else "",
        stage=stage,
    )


def _waiting(component: Component, until: Callable[[], bool]) -> Component:
    return Component(
        component.name,
        component.title,
        component.log_file,
        component.main,
        component.node,
        component.stage,
        until,
    )


def _main(profile: Profile, node: Node | None, work: Work) -> int:
    """In the child: into the node's namespaces first, then the component's loop."""
    if node is not None:
        node_network.enter(profile, node)
    return run_until_signalled(work())


def _accepts(port: int) -> bool:
    """Whether somebody listens on a local port."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def api_server(profile: Profile) -> ApiServerConfig:
    pki = profile.pki
    addresses = {"127.0.0.1": profile.api_port, profile.gateway: profile.api_port}
    return ApiServerConfig(
        addresses=list(addresses.items()),
        store_path=profile.directory / "store" / "state.db",
        tls_cert=pki / "apiserver.crt",
        tls_key=pki / "apiserver.key",
        client_ca=pki / "client-ca.crt",
        requestheader_ca=pki / "front-proxy-ca.crt",
        service_account_key=pki / "sa.key",
        advertise_address=profile.gateway,
        advertise_port=profile.api_port,
        service_cidr=profile.service_cidr,
        kubelet_ca=pki / "ca.crt",
        kubelet_client_cert=pki / "apiserver-kubelet-client.crt",
        kubelet_client_key=pki / "apiserver-kubelet-client.key",
        profile=profile.name,
    )


def registry_config(profile: Profile) -> registry.RegistryConfig:
    return registry.RegistryConfig(
        directory=str(profile.cache / "registry"), host=profile.gateway, port=REGISTRY_PORT
    )


def controllers_config(profile: Profile) -> ControllersConfig:
    return ControllersConfig(
        kubeconfig=access.path_for(profile, "controllers"),
        root_ca_file=profile.pki / "ca.crt",
        cluster_cidr=profile.pod_cidr if profile.nodes else "",
        identity=profile.name,
    )


def scheduler_config(profile: Profile) -> SchedulerConfig:
    return SchedulerConfig(kubeconfig=access.path_for(profile, "scheduler"), identity=profile.name)


def cloud_config(profile: Profile) -> CloudConfig:
    return CloudConfig(
        kubeconfig=access.path_for(profile, "controllers"),
        load_balancer_pool=profile.load_balancer_pool if profile.nodes else "",
        identity=profile.name,
    )


def runtime_config(profile: Profile, node: Node) -> RuntimeConfig:
    directory, run = profile.node_directory(node), profile.node_run_directory(node)
    network = BuiltInNetwork(directory / "cni", MTU_DEFAULT)
    return RuntimeConfig(
        profile=profile.name,
        node_name=node.name,
        socket_path=str(run / "runtime.sock"),
        root_dir=str(directory / "runtime"),
        state_dir=str(run / "runtime"),
        cgroup_root=cgroup_root(profile, node),
        registry_mirrors={"*": [f"http://{profile.gateway}:{REGISTRY_PORT}"]},
        network=lambda: network,
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
    )


def dns_config(profile: Profile) -> DnsConfig:
    return DnsConfig(
        kubeconfig=access.path_for(profile, "dns"),
        listen_addresses=(profile.dns_service,),
        service_cidrs=(profile.service_cidr,),
        pod_cidrs=(profile.pod_cidr,),
        upstreams=machine_resolvers(),
    )
