"""Where a packet begins: the pod or node that FROM names. Pure but for `start_of`."""

from dataclasses import dataclass

from tiphys.api.labels import from_object
from tiphys.api.meta import Obj, at, labels_of, name_of, namespace_of
from tiphys.cluster.netcheck.place import Place
from tiphys.cluster.netcheck.pod_places import pod_places
from tiphys.cluster.netcheck.scene import Scene, World
from tiphys.cluster.netcheck.trace.ends import EndError, Source


@dataclass(frozen=True, slots=True)
class Start:
    """place: the pod's own network, or the node's. pod: None for a node."""

    place: Place
    node: Place
    address: str
    pod: Obj | None = None

    @property
    def is_isolated(self) -> bool:
        """Whether it has a network of its own, in which policies count."""
        return self.place != self.node


def find_pod(world: World, namespace: str, name: str) -> Obj:
    """Raises EndError."""
    if world.pods is None:
        raise EndError("pods are not known here: run it where the API server is")
    pod = world.find("pods", namespace, name)
    if pod is None:
        known = [name_of(p) for p in world.pods if namespace_of(p) == namespace]
        there = f"there are {', '.join(sorted(known))}" if known else "there is none"
        raise EndError(f'no pod "{name}" in namespace {namespace}: {there}')
    if at(pod, "status", "phase") != "Running":
        phase = at(pod, "status", "phase", default="unknown")
        raise EndError(f'the pod "{name}" in namespace {namespace} is {phase}, not Running')
    return pod


def pod_of_deployment(world: World, deployment: Obj) -> Obj:
    """Its first running pod. Raises EndError."""
    namespace, name = namespace_of(deployment), name_of(deployment)
    selector = from_object(at(deployment, "spec", "selector", default={}))
    for pod in world.pods or []:
        same = namespace_of(pod) == namespace and selector.matches(labels_of(pod))
        if same and at(pod, "status", "phase") == "Running":
            return pod
    raise EndError(f'the deployment "{name}" in namespace {namespace} has no running pod')


def start_of(scene: Scene, source: Source) -> Start:
    """Raises EndError, PlaceError."""
    if source.kind == "node":
        for node, own in scene.nodes:
            if node.name == source.name:
                return Start(own, own, node.address)
        known = ", ".join(node.name for node, _ in scene.nodes)
        raise EndError(f'no node "{source.name}" runs on this machine: there are {known}')
    if source.kind == "deployment":
        pod = pod_of_deployment(scene.world, _deployment(scene, source))
    else:
        pod = find_pod(scene.world, source.namespace, source.name)
    name = str(at(pod, "spec", "nodeName", default=""))
    node_place = next((place for node, place in scene.nodes if node.name == name), None)
    if node_place is None:
        raise EndError(f'the pod "{name_of(pod)}" is on {name}, another machine: trace it there')
    key = (namespace_of(pod), name_of(pod))
    place = pod_places(scene, frozenset({key})).get(key)
    if place is None:  # It has just ended, or is of another runtime.
        raise EndError(f'the runtime of {name} does not know the pod "{name_of(pod)}"')
    if place.namespace == node_place.namespace:
        place = node_place
    return Start(place, node_place, str(at(pod, "status", "podIP", default="")), pod)


def _deployment(scene: Scene, source: Source) -> Obj:
    from tiphys.cluster.readiness import Probe

    path = f"/apis/apps/v1/namespaces/{source.namespace}/deployments/{source.name}"
    found = Probe.at_once(scene.profile).get(path)
    if found is None:
        raise EndError(f'no deployment "{source.name}" in namespace {source.namespace}')
    return found
