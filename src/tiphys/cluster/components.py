"""Which processes a profile consists of, and what each is told.

Importing this module imports the API server: only the supervisor does, once, before it forks. The
parts of all others are imported when they are asked for, which is while the API server starts.
"""

import socket
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from tiphys.apiserver import run as apiserver
from tiphys.apiserver.config import ApiServerConfig
from tiphys.apiserver.filters.request_header import RequestHeaderConfig
from tiphys.client.metrics_page import MetricsConfig
from tiphys.cloud.config import CloudConfig
from tiphys.cluster import access, extra_config, node_network
from tiphys.cluster.metrics_ports import CLOUD_PORT, CONTROLLERS_PORT, SCHEDULER_PORT
from tiphys.cluster.pki import CONTROL_PLANE, FRONT_PROXY
from tiphys.cluster.profile import MASTER_PORT, Node, Profile
from tiphys.cluster.supervisor import Component
from tiphys.controllers.config import ControllersConfig
from tiphys.lib.component import run_until_signalled
from tiphys.scheduler.config import SchedulerConfig

# Stages in which components are stopped, the highest first.
STORE, API, STATE, CONTROL, RUNTIME, KUBELET = 0, 1, 2, 3, 4, 5

Work = Callable[[], Coroutine[Any, Any, None]]


def components(profile: Profile) -> Iterator[Component]:
    """Every process in the order of starting."""
    if not profile.masters and not profile.is_joined:
        yield _waiting(_api_server(profile), partial(_accepts, profile.api_port))
    yield from _others(profile)


def _others(profile: Profile) -> list[Component]:
    found: list[Component] = []
    if profile.masters:
        for node in profile.masters:
            if not node.stopped:
                found += _master(profile, node)
    elif not profile.is_joined:
        found = _leading(profile)
    if profile.nodes:
        # Linux only, and nothing that a control plane alone should carry in its memory.
        from tiphys.cluster.node_components import node_components

        found += node_components(profile)
    if profile.ingress:
        from tiphys.cluster.ingress import process

        found += process.components(profile)
    return found


def _master(profile: Profile, node: Node) -> list[Component]:
    from tiphys.cluster import etcd

    store = etcd.component(profile, node, STORE)
    return [store, _api_server(profile, node), *_leading(profile, node)]


def _api_server(profile: Profile, node: Node | None = None) -> Component:
    """On the host, or on a master."""
    return component(
        profile, "apiserver", API, lambda: apiserver.run(api_server(profile, node)), node
    )


def _leading(profile: Profile, node: Node | None = None) -> list[Component]:
    """Those of whose kind one leads: beside an API server."""
    from tiphys.cloud import run as cloud
    from tiphys.controllers import run as controllers
    from tiphys.scheduler import run as scheduler

    cloud_manager = component(
        profile,
        "cloud-controller-manager",
        CONTROL,
        lambda: cloud.run(cloud_config(profile, node)),
        node,
        choices=f"balances={profile.load_balancer}",
    )
    works: list[tuple[str, Work]] = [
        ("controllers", lambda: controllers.run(controllers_config(profile, node))),
        ("scheduler", lambda: scheduler.run(scheduler_config(profile, node))),
    ]
    others = [component(profile, name, CONTROL, work, node) for name, work in works]
    return [*others, cloud_manager]


def component(
    profile: Profile,
    name: str,
    stage: int,
    work: Work,
    node: Node | None = None,
    choices: str = "",
) -> Component:
    label = profile.name if node is None else f"{profile.name}/{node.name}"
    log_name = name if node is None else f"{name}-{node.name}"
    is_busy = name in ("apiserver", "ingress")
    return Component(
        name=name,
        title=f"tiphys: {name} [{label}]",
        log_file=profile.logs / f"{log_name}.log",
        main=partial(_main, profile, node, work, is_busy=is_busy),
        node=node.name if node else "",
        stage=stage,
        choices=choices,
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


def _main(profile: Profile, node: Node | None, work: Work, *, is_busy: bool) -> int:
    """In the child: into the node's namespaces first, then the component's loop."""
    if node is not None:
        node_network.enter(profile, node)
    return run_until_signalled(work(), is_busy=is_busy)


def _accepts(port: int) -> bool:
    """Whether somebody listens on a local port."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def api_server(profile: Profile, node: Node | None) -> ApiServerConfig:
    pki = profile.pki
    own = ApiServerConfig(
        addresses=[("127.0.0.1", profile.api_port), (profile.gateway, profile.api_port)],
        store_path=profile.directory / "store" / "state.db",
        tls_cert=pki / "apiserver.crt",
        tls_key=pki / "apiserver.key",
        client_ca=pki / "client-ca.crt",
        requestheader_ca=pki / "front-proxy-ca.crt",
        requestheader=RequestHeaderConfig(allowed_names=(FRONT_PROXY,)),
        proxy_client_cert=pki / f"{FRONT_PROXY}.crt",
        proxy_client_key=pki / f"{FRONT_PROXY}.key",
        service_account_key=pki / "sa.key",
        advertise_address=profile.gateway,
        advertise_port=profile.api_port,
        service_cidr=profile.service_cidr,
        kubelet_ca=pki / "ca.crt",
        kubelet_client_cert=pki / "apiserver-kubelet-client.crt",
        kubelet_client_key=pki / "apiserver-kubelet-client.key",
        profile=profile.name,
    )
    own = extra_config.applied(profile.extra_config, "apiserver", own)
    if profile.encryption_config.exists():
        own = replace(own, encryption_config=profile.encryption_config)
    if profile.audit_policy.exists():
        name = "apiserver" if node is None else node.name
        log_file = profile.audit_logs / f"{name}.log"
        own = replace(own, audit_policy=profile.audit_policy, audit_log=log_file)
    if not profile.nodes and not profile.listen:
        own = replace(own, addresses=own.addresses[:1])
    return own if node is None else _on_master(own, profile, node)


def _on_master(config: ApiServerConfig, profile: Profile, node: Node) -> ApiServerConfig:
    from tiphys.cluster import etcd

    pki = profile.pki
    return replace(
        config,
        addresses=[("127.0.0.1", MASTER_PORT), (node.address, MASTER_PORT)],
        advertise_address=node.address,
        advertise_port=MASTER_PORT,
        hostname=node.name,
        etcd_endpoints=tuple(etcd.endpoints(profile, node)),
        etcd_ca=pki / "etcd-ca.crt",
        etcd_cert=pki / "apiserver-etcd-client.crt",
        etcd_key=pki / "apiserver-etcd-client.key",
    )


def controllers_config(profile: Profile, node: Node | None) -> ControllersConfig:
    config = ControllersConfig(
        kubeconfig=access.path_for(profile, "controllers"),
        root_ca_file=profile.pki / "ca.crt",
        service_account_key=profile.pki / "sa.key",
        client_signing=(profile.pki / "client-ca.crt", profile.pki / "client-ca.key"),
        serving_signing=(profile.pki / "ca.crt", profile.pki / "ca.key"),
        machines_join=bool(profile.listen),
        cluster_cidr=profile.pod_cidr if profile.has_pods else "",
        nodes_directory=profile.directory / "nodes" if profile.nodes else None,
        identity=_identity(profile, node),
        metrics=_metrics(profile, node, CONTROLLERS_PORT),
    )
    return extra_config.applied(profile.extra_config, "controller-manager", config)


def scheduler_config(profile: Profile, node: Node | None) -> SchedulerConfig:
    config = SchedulerConfig(
        kubeconfig=access.path_for(profile, "scheduler"),
        identity=_identity(profile, node),
        metrics=_metrics(profile, node, SCHEDULER_PORT),
    )
    return extra_config.applied(profile.extra_config, "scheduler", config)


def cloud_config(profile: Profile, node: Node | None) -> CloudConfig:
    return CloudConfig(
        kubeconfig=access.path_for(profile, "controllers"),
        provider=profile.cloud_provider if profile.has_pods else "",
        load_balancer_pool=profile.load_balancer_pool,
        cloud_config=Path(profile.cloud_config) if profile.cloud_config else None,
        cluster_cidr=profile.pod_cidr,
        balances=profile.load_balancer,
        identity=_identity(profile, node),
        metrics=_metrics(profile, node, CLOUD_PORT),
    )


def _metrics(profile: Profile, node: Node | None, port: int) -> MetricsConfig:
    return MetricsConfig(
        host=profile.gateway if node is None else node.address,
        port=port,
        tls_cert=profile.pki / f"{CONTROL_PLANE}.crt",
        tls_key=profile.pki / f"{CONTROL_PLANE}.key",
        client_ca=profile.pki / "client-ca.crt",
    )


def _identity(profile: Profile, node: Node | None) -> str:
    """Who holds a lease of leader election."""
    return profile.name if node is None else node.name
