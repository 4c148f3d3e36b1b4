"""Which processes a profile consists of, and what each is told.

Importing this module imports the components: only the supervisor does, once, before it forks.
"""

import socket
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from tiphys.apiserver import run as apiserver
from tiphys.apiserver.config import ApiServerConfig
from tiphys.apiserver.filters.request_header import RequestHeaderConfig
from tiphys.cloud import run as cloud
from tiphys.cloud.config import CloudConfig
from tiphys.cluster import access, node_network
from tiphys.cluster.profile import Node, Profile
from tiphys.cluster.supervisor import Component
from tiphys.controllers import run as controllers
from tiphys.controllers.config import ControllersConfig
from tiphys.lib.component import run_until_signalled
from tiphys.scheduler import run as scheduler
from tiphys.scheduler.config import SchedulerConfig

# Stages in which components are stopped, the highest first.
API, STATE, CONTROL, RUNTIME, KUBELET = 0, 1, 2, 3, 4

Work = Callable[[], Coroutine[Any, Any, None]]


def components(profile: Profile) -> list[Component]:
    """Every process in the order of starting."""
    control = [component(profile, "apiserver", API, lambda: apiserver.run(api_server(profile)))]
    control[0] = _waiting(control[0], partial(_accepts, profile.api_port))
    for name, work in (
        ("controllers", lambda: controllers.run(controllers_config(profile))),
        ("scheduler", lambda: scheduler.run(scheduler_config(profile))),
        ("cloud-controller-manager", lambda: cloud.run(cloud_config(profile))),
    ):
        control.append(component(profile, name, CONTROL, work))
    if profile.nodes:
        # Linux only, and nothing that a control plane alone should carry in its memory.
        from tiphys.cluster.node_components import node_components

        control += node_components(profile)
    return control


def component(
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


def _waiting(one: Component, until: Callable[[], bool]) -> Component:
    return Component(
        one.name,
        one.title,
        one.log_file,
        one.main,
        one.node,
        one.stage,
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
        requestheader=RequestHeaderConfig(allowed_names=("front-proxy-client",)),
        service_account_key=pki / "sa.key",
        advertise_address=profile.gateway,
        advertise_port=profile.api_port,
        service_cidr=profile.service_cidr,
        kubelet_ca=pki / "ca.crt",
        kubelet_client_cert=pki / "apiserver-kubelet-client.crt",
        kubelet_client_key=pki / "apiserver-kubelet-client.key",
        profile=profile.name,
    )


def controllers_config(profile: Profile) -> ControllersConfig:
    return ControllersConfig(
        kubeconfig=access.path_for(profile, "controllers"),
        root_ca_file=profile.pki / "ca.crt",
        service_account_key=profile.pki / "sa.key",
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
