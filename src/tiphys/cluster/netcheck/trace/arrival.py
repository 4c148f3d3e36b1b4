"""Where an address is: a pod, a node, the host, another machine."""

from dataclasses import dataclass

from tiphys.api.meta import Obj, at, name_of, namespace_of
from tiphys.cluster.netcheck.place import Place
from tiphys.cluster.netcheck.pod_places import pod_places
from tiphys.cluster.netcheck.scene import Scene


@dataclass(frozen=True, slots=True)
class End:
    """Where an endpoint is; place is None on another machine, or where nobody knows."""

    place: Place | None = None
    node: Place | None = None
    pod: Obj | None = None
    name: str = ""

    @property
    def is_isolated(self) -> bool:
        """Whether policies count there: not in the node's own network."""
        return self.pod is not None and self.node is not None and self.place != self.node


def peer_of(scene: Scene, address: str) -> tuple[str, str] | None:
    """The node whose pod has an address: its name and its own address. Pure."""
    pod = scene.world.pod_at(address)
    if pod is None:
        return None
    name = str(at(pod, "spec", "nodeName", default=""))
    known = [(node.name, node.address) for node, _ in scene.nodes] + list(scene.elsewhere)
    return next((one for one in known if one[0] == name), None)


def end_of(scene: Scene, address: str) -> End:
    for place in (scene.host, *[place for _, place in scene.nodes]):
        if place.address == address:
            return End(place, place)
    for name, elsewhere in scene.elsewhere:
        if elsewhere == address:
            return End(name=name)
    pod = scene.world.pod_at(address)
    if pod is None:
        return End()
    node = str(at(pod, "spec", "nodeName", default=""))
    key = (namespace_of(pod), name_of(pod))
    node_place = next((place for one, place in scene.nodes if one.name == node), None)
    if node_place is None:
        return End(pod=pod, name=node)
    return End(pod_places(scene, frozenset({key})).get(key), node_place, pod)
