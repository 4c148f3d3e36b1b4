"""What is looked at: a profile, its places on this machine, and the objects of its API."""

from dataclasses import dataclass, field
from typing import Any, Final

from tiphys.api.meta import Obj, at, labels_of, name_of, namespace_of
from tiphys.cluster import node_network, processes
from tiphys.cluster.netcheck.place import HOST, Place
from tiphys.cluster.processes import Process
from tiphys.cluster.profile import Node, Profile
from tiphys.lib.netlink import netns
from tiphys.network.plan import internal_address

_PATHS: Final = {
    "nodes": "/api/v1/nodes",
    "services": "/api/v1/services",
    "slices": "/apis/discovery.k8s.io/v1/endpointslices",
    "pods": "/api/v1/pods",
    "namespaces": "/api/v1/namespaces",
    "policies": "/apis/networking.k8s.io/v1/networkpolicies",
}
DNS_CONFIG: Final = "/api/v1/namespaces/kube-system/configmaps/kube-dns"


@dataclass(frozen=True, slots=True)
class World:
    """Lists of objects; None for those that this machine may not read or that nobody answered."""

    nodes: list[Obj] | None = None
    services: list[Obj] | None = None
    slices: list[Obj] | None = None
    pods: list[Obj] | None = None
    namespaces: list[Obj] | None = None
    policies: list[Obj] | None = None
    dns_config: Obj | None = None

    def node(self, name: str) -> Obj | None:
        return next((n for n in self.nodes or [] if name_of(n) == name), None)

    def pod_at(self, address: str) -> Obj | None:
        """The pod with an address of its own."""
        for pod in self.pods or []:
            if at(pod, "status", "podIP") == address and not at(pod, "spec", "hostNetwork"):
                return pod
        return None

    def namespace_labels(self) -> dict[str, Any]:
        return {name_of(n): labels_of(n) for n in self.namespaces or []}

    def find(self, kind: str, namespace: str, name: str) -> Obj | None:
        """kind: the name of a list above."""
        for obj in getattr(self, kind) or []:
            if name_of(obj) == name and namespace_of(obj) in ("", namespace):
                found: Obj = obj
                return found
        return None


@dataclass(frozen=True, slots=True)
class Scene:
    """nodes: those on this machine that are on. elsewhere: nodes on other machines."""

    profile: Profile
    world: World
    host: Place
    nodes: tuple[tuple[Node, Place], ...] = ()
    elsewhere: tuple[tuple[str, str], ...] = ()  # Name and address.
    processes: tuple[Process, ...] = field(default=())

    @property
    def places(self) -> list[Place]:
        """The host first; the machine's own network only once."""
        own = [place for _, place in self.nodes]
        return own if self.profile.uses_host_network else [self.host, *own]

    def process(self, component: str, node: str = "") -> Process | None:
        for one in self.processes:
            if one.component == component and one.node == node:
                return one
        return None


def observe(profile: Profile) -> Scene:
    """Reads the API and the profile, changes nothing."""
    world = read_world(profile)
    nodes = []
    for node in profile.running_nodes:
        path = node_network.network_namespace(profile, node)
        if netns.is_alive(path):
            inside = None if profile.uses_host_network else path
            nodes.append((node, Place(node.name, inside, node.address)))
    own = {node.name for node in profile.nodes}
    elsewhere = tuple(
        (name_of(n), internal_address(n)) for n in world.nodes or [] if name_of(n) not in own
    )
    host = Place(HOST, None, profile.gateway)
    return Scene(profile, world, host, tuple(nodes), elsewhere, tuple(processes.recorded(profile)))


def read_world(profile: Profile) -> World:
    from tiphys.cluster.readiness import Probe

    probe = Probe.at_once(profile)
    found: dict[str, list[Obj] | None] = {}
    for name, path in _PATHS.items():
        listed = probe.get(path)
        items = None if listed is None else listed.get("items")
        found[name] = items if isinstance(items, list) else None
    return World(dns_config=probe.get(DNS_CONFIG), **found)
