"""Which address and port TO means, seen from the start. Asks DNS as the start would."""

from dataclasses import dataclass

from tiphys.api.meta import Obj, at, name_of
from tiphys.cluster.netcheck.scene import Scene, World
from tiphys.cluster.netcheck.trace import names
from tiphys.cluster.netcheck.trace.ends import PORT_DEFAULT, EndError, Target
from tiphys.cluster.netcheck.trace.hop import Hop
from tiphys.cluster.netcheck.trace.start import Start, find_pod
from tiphys.kubelet.dns import Resolver
from tiphys.lib.resolv_conf import RESOLVER_FILES


@dataclass(frozen=True, slots=True)
class Goal:
    """addresses: several for a headless Service; none where the name failed. hops: so far."""

    addresses: tuple[str, ...]
    port: int
    hops: tuple[Hop, ...] = ()


def goal_of(scene: Scene, start: Start, target: Target) -> Goal:
    """Raises EndError."""
    if target.kind == "address":
        return Goal((target.name,), number(target.port))
    if target.kind == "pod":
        pod = find_pod(scene.world, target.namespace, target.name)
        return Goal((str(at(pod, "status", "podIP", default="")),), port_of_pod(pod, target.port))
    if target.kind == "name":
        hop, addresses = names.resolve(start.place, target.name, _resolver(scene, start))
        return Goal(tuple(addresses), number(target.port), (hop,))
    return _of_service(scene, start, target)


def number(port: str) -> int:
    """Raises EndError for a port's name."""
    if port and not port.isdigit():
        raise EndError(f'"{port}" is no number: ports have names at Services and pods only')
    return int(port or PORT_DEFAULT)


def port_of_pod(pod: Obj, port: str) -> int:
    """Pure. Raises EndError."""
    known = [
        p
        for container in at(pod, "spec", "containers", default=[])
        for p in container.get("ports") or []
    ]
    if port.isdigit():
        return int(port)
    for one in known:
        if not port or one.get("name") == port:
            return int(one["containerPort"])
    wanted = f'has no port "{port}"' if port else "names no port"
    raise EndError(f'the pod "{name_of(pod)}" {wanted}: use pod/NAME:PORT')


def port_of_service(service: Obj, port: str, protocol: str) -> int:
    """Pure. A number may be one that it does not have: that is what a trace tells."""
    if port.isdigit():
        return int(port)
    ports = at(service, "spec", "ports", default=[])
    for one in ports:
        same = (one.get("protocol") or "TCP").lower() == protocol
        if same and (not port or one.get("name") == port):
            return int(one["port"])
    known = ", ".join(str(p.get("name") or p["port"]) for p in ports) or "none"
    wanted = f'no {protocol} port "{port}"' if port else f"no {protocol} port"
    raise EndError(f'the Service "{name_of(service)}" has {wanted}: there are {known}')


def find_service(world: World, namespace: str, name: str) -> Obj:
    """Raises EndError."""
    service = world.find("services", namespace, name)
    if service is None:
        raise EndError(f'no Service "{name}" in namespace {namespace}')
    return service


def _of_service(scene: Scene, start: Start, target: Target) -> Goal:
    service = find_service(scene.world, target.namespace, target.name)
    port = port_of_service(service, target.port, target.protocol)
    address = str(at(service, "spec", "clusterIP", default=""))
    if start.pod is None and address not in ("", "None"):
        return Goal((address,), port)  # Nodes do not ask the cluster's DNS.
    name = f"{target.name}.{target.namespace}.svc.cluster.local."
    resolver = names.resolver_of(start.pod, scene.profile.dns_service, machine_text())
    if start.pod is None:
        resolver = Resolver((scene.profile.dns_service,))
    hop, addresses = names.resolve(start.place, name, resolver)
    if hop.ok and address not in ("", "None", addresses[0]):
        what = f"{hop.what}, but the Service has {address}"
        hop = Hop(hop.name, hop.where, False, what, "tiphys net doctor --check dns")
    return Goal(tuple(addresses), port, (hop,))


def _resolver(scene: Scene, start: Start) -> Resolver:
    return names.resolver_of(start.pod, scene.profile.dns_service, machine_text())


def machine_text() -> str:
    """The machine's resolv.conf."""
    return next((f.read_text(errors="replace") for f in RESOLVER_FILES if f.exists()), "")
