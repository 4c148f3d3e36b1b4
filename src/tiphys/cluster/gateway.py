"""What the host does for the machines of a profile, in one process.

Images: the registry answers on the loopback of each node's own network, where neither pods nor the
network reach it. Routes to the nodes, the address in front of several masters, the cluster's log
and what pods and nodes use. Machines come and go while it runs: it looks at the profile's file.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tiphys.client import kubeconfig
from tiphys.client.rest import Client
from tiphys.cluster import access, node_network, port_relay, published_ports
from tiphys.cluster import profile as profiles
from tiphys.cluster.logs_addon import PORT as LOGS_PORT
from tiphys.cluster.pki import FRONT_PROXY
from tiphys.cluster.profile import MASTER_PORT, Node, Profile, ProfileError
from tiphys.lib.logs import Secret
from tiphys.lib.netlink import netns
from tiphys.lib.tasks import keep_running
from tiphys.logstore import node_run
from tiphys.logstore import run as logstore
from tiphys.logstore.node_run import NodeLogConfig
from tiphys.logstore.push_server import PushConfig
from tiphys.logstore.run import LogStoreConfig
from tiphys.metrics_server import run as metrics_server
from tiphys.metrics_server.config import MetricsServerConfig
from tiphys.network import api_balancer
from tiphys.network import host_run as host_network
from tiphys.network.api_balancer import ApiBalancerConfig
from tiphys.runtime.images import bundled
from tiphys.runtime.images.registry import RegistryServer
from tiphys.runtime.images.registry_storage import RegistryStorage

log = logging.getLogger(__name__)

REGISTRY_ADDRESS: Final = "127.0.0.1"
REGISTRY_PORT: Final = 10270  # Below the ports that are given out to Services and to clients.
LOOK_SECONDS: Final = 0.2  # Between two looks for machines that came or went.


async def run(profile: Profile) -> None:
    """Work until cancelled."""
    await Gateway(profile).run()


class Gateway:
    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._storage = RegistryStorage(str(profile.cache / "registry"))
        self._registry = RegistryServer(self._storage, Secret(""))
        self._listening: dict[tuple[str, int], asyncio.Server] = {}  # By node and its network.

    async def run(self) -> None:
        profile = self._profile
        try:
            await self._follow()
            bundled.build(self._storage)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._look())
                if profile.masters:
                    group.create_task(api_balancer.run(api_balancer_config(profile)))
                if profile.ports:
                    ports = published_ports.parse_all(profile.ports)
                    group.create_task(port_relay.run(ports, self._first_address))
                if profile.is_joined:  # Its lines go to the store beside the API server.
                    send = partial(node_run.run, node_log_config(profile, self._pod_logs))
                    group.create_task(keep_running("logs", send))
                else:
                    group.create_task(self._serve_cluster())
        finally:
            await self._registry.close()

    async def _serve_cluster(self) -> None:
        """What asks the API server, all as the metrics server, which may read pods and nodes."""
        profile = self._profile
        kubeconfig = access.path_for(profile, "metrics-server")
        client = Client.from_kubeconfig(kubeconfig, user_agent="tiphys-gateway", multiplexed=True)
        collect = partial(logstore.run, log_store_config(profile, self._pod_logs), client)
        measure = partial(metrics_server.run, metrics_server_config(profile), client)
        try:
            async with asyncio.TaskGroup() as group:
                if not profile.uses_host_network:
                    group.create_task(host_network.run(host_network_config(profile), client))
                group.create_task(keep_running("logs", collect))
                group.create_task(keep_running("metrics server", measure))
        finally:
            client.close()

    def _first_address(self) -> str:
        """Every node that is on answers at every node port."""
        return (self._profile.running_nodes or self._profile.nodes)[0].address

    def _pod_logs(self) -> Mapping[str, Path]:
        nodes = self._profile.nodes
        return {n.name: self._profile.node_directory(n) / "log" / "pods" for n in nodes}

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                found = profiles.load(self._profile.roots, self._profile.name)
            except ProfileError as exc:
                log.error("the profile was not read again", extra={"why": str(exc)})
                continue
            self._profile = found or self._profile
            await self._follow()

    async def _follow(self) -> None:
        """Serve images to each machine that is on, and to none that is off."""
        wanted = {}
        for node in self._profile.running_nodes:
            path = node_network.network_namespace(self._profile, node)
            if netns.is_alive(path):
                wanted[node.name, path.stat().st_ino] = node
        for key in self._listening.keys() - wanted.keys():
            self._listening.pop(key).close()
        for key in wanted.keys() - self._listening.keys():
            listener = self._listen(wanted[key])
            if listener is not None:
                self._listening[key] = await self._registry.listen(listener)

    def _listen(self, node: Node) -> socket.socket | None:
        """A socket in the node's network; None while somebody else has the port there."""
        try:
            with netns.inside(node_network.network_namespace(self._profile, node)):
                return socket.create_server((REGISTRY_ADDRESS, REGISTRY_PORT))
        except OSError as exc:
            log.error("no registry on a node", extra={"node": node.name, "why": str(exc)})
            return None


def host_network_config(profile: Profile) -> host_network.HostNetworkConfig:
    return host_network.HostNetworkConfig(
        node_cidr=profile.node_cidr,
        pod_cidr=profile.pod_cidr,
        shared_cidrs=(profile.service_cidr, profile.load_balancer_pool),
    )


def log_store_config(
    profile: Profile, pod_logs: Callable[[], Mapping[str, Path]]
) -> LogStoreConfig:
    return LogStoreConfig(
        directory=profile.log_store,
        pod_logs=pod_logs,
        audit_logs=profile.audit_logs,
        outputs=profile.log_outputs,
        push=PushConfig(
            host=profile.gateway,
            port=LOGS_PORT,
            tls_cert=profile.pki / "metrics-server-serving.crt",
            tls_key=profile.pki / "metrics-server-serving.key",
            client_ca=profile.pki / "client-ca.crt",
        ),
    )


def node_log_config(profile: Profile, pod_logs: Callable[[], Mapping[str, Path]]) -> NodeLogConfig:
    """The log's server is where the API server is, and of the same authority."""
    known = kubeconfig.load(access.path_for(profile, "metrics-server"))
    host = urlsplit(profile.joined_server).hostname
    where = replace(known, server=f"https://{host}:{LOGS_PORT}")
    return NodeLogConfig(profile.log_store, pod_logs, Client(where).http)


def metrics_server_config(profile: Profile) -> MetricsServerConfig:
    pki = profile.pki
    return MetricsServerConfig(
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


def api_balancer_config(profile: Profile) -> ApiBalancerConfig:
    return ApiBalancerConfig(
        listen=[(profile.gateway, profile.api_port), ("127.0.0.1", profile.api_port)],
        servers=[(node.address, MASTER_PORT) for node in profile.masters],
        ca_file=profile.pki / "ca.crt",
    )
