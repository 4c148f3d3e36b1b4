"""Endpoints that are gone: in EndpointSlices, and in connections that the kernel remembers."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Final

from tiphys.api.meta import Obj, at, condition, labels_of, name_of, namespace_of
from tiphys.cluster.netcheck import agent
from tiphys.cluster.netcheck.finding import NetFinding
from tiphys.cluster.netcheck.place import Place
from tiphys.cluster.netcheck.planned_rules import USERSPACE, frontends
from tiphys.cluster.netcheck.scene import Scene, World
from tiphys.cluster.processes import Process
from tiphys.proxy.conntrack import Conntrack, Flow, stale

NAME: Final = "endpoints"
_MANAGED_BY: Final = "endpointslice.kubernetes.io/managed-by"
_CONTROLLER: Final = "endpointslice-controller.k8s.io"
_FLOWS_TOLD_MAX: Final = 3


def look(scene: Scene) -> list[NetFinding]:
    process = scene.process("controllers")
    wrong = [
        (one, dead)
        for one in scene.world.slices or []
        if (dead := dead_endpoints(one, scene.world, scene.profile.pod_cidr))
    ]
    found = judge(scene.profile.name, wrong, process, agent.state(process))
    for _, place in scene.nodes:
        found += _flows(scene, place)
    return found


def dead_endpoints(one: Obj, world: World, pod_cidr: str) -> list[str]:
    """Ready endpoints of a slice that no ready pod has, each with why. Pure.

    Addresses outside the pods' range belong to others. What this machine may not read it does not
    judge.
    """
    if world.pods is None:
        return []
    service = world.find("services", namespace_of(one), _service(one))
    if at(service, "spec", "publishNotReadyAddresses"):
        return []
    found = []
    for endpoint in one.get("endpoints") or []:
        if at(endpoint, "conditions", "ready") is False:
            continue
        for address in endpoint.get("addresses") or []:
            why = _why_dead(address, world, pod_cidr)
            if why:
                found.append(f"{address} {why}")
    return found


def _why_dead(address: str, world: World, pod_cidr: str) -> str:
    if ":" in address or IPv4Address(address) not in IPv4Network(pod_cidr):
        return ""
    pod = world.pod_at(address)
    if pod is None:
        return "is no pod's address"
    name = f"{namespace_of(pod)}/{name_of(pod)}"
    if at(pod, "status", "phase") in ("Succeeded", "Failed"):
        return f"belongs to the pod {name}, which is over"
    if (condition(pod, "Ready") or {}).get("status") != "True":
        return f"belongs to the pod {name}, which is not ready"
    return ""


def _service(one: Obj) -> str:
    return labels_of(one).get("kubernetes.io/service-name", "")


def judge(
    profile: str, wrong: Sequence[tuple[Obj, list[str]]], process: Process | None, state: str
) -> list[NetFinding]:
    """Pure. Slices of a controller that does not work are one finding: one fix mends them all."""
    unwatched: list[str] = []
    found = []
    for one, dead in wrong:
        name, namespace = name_of(one), namespace_of(one)
        what = f"EndpointSlice {namespace}/{name}: {'; '.join(dead)}"
        if labels_of(one).get(_MANAGED_BY) == _CONTROLLER and state != agent.RUNNING:
            unwatched.append(what)
            continue
        cause = "whoever wrote it does not follow the pods: packets to the Service are lost"
        fix = f"tiphys -p {profile} kubectl delete endpointslice {name} -n {namespace}"
        found.append(NetFinding(NAME, "host", what, cause, fix))
    if unwatched:
        cause, fix = agent.cause(process, state, ""), agent.fix(process, state, profile)
        found.append(NetFinding(NAME, "host", "; ".join(unwatched), cause, fix))
    return found


def _flows(scene: Scene, place: Place) -> list[NetFinding]:
    world = scene.world
    if world.services is None or world.slices is None or scene.profile.proxy_mode == USERSPACE:
        return []  # There the process itself follows: the kernel only knows its sockets.
    backends = frontends(world.services, world.slices, place.name, place.address)
    serving = {f: b.serving for f, b in backends.items() if f.protocol == "udp"}
    with place.inside():
        kernel = Conntrack()
    try:
        dead = stale(kernel.flows(), serving)
    finally:
        kernel.close()
    process = scene.process("proxy", place.name)
    return judge_flows(place, dead, process, agent.state(process), scene.profile.name)


def judge_flows(
    place: Place, dead: Collection[Flow], process: Process | None, state: str, profile: str
) -> list[NetFinding]:
    """Pure."""
    if not dead:
        return []
    ends = count_by_end(dead)
    shown = [f"{count} of {end}" for end, count in list(ends.items())[:_FLOWS_TOLD_MAX]]
    otherwise = "the kernel remembers them as long as packets come"
    return [
        NetFinding(
            NAME,
            place.name,
            f"UDP flows go on to endpoints that are gone: {', '.join(shown)}",
            agent.cause(process, state, otherwise),
            agent.fix(process, state, profile),
        )
    ]


def count_by_end(flows: Iterable[Flow]) -> Mapping[str, int]:
    """Pure."""
    found: dict[str, int] = {}
    for flow in flows:
        end = f"{flow.frontend.address}:{flow.frontend.port} to {flow.target.address}"
        found[end] = found.get(end, 0) + 1
    return found
