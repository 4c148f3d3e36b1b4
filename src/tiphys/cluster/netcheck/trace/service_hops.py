"""What a node's proxy does with a packet to an address and port. Pure but for `written`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Final

from tiphys.api.meta import Obj, name_of, namespace_of
from tiphys.cluster.netcheck.place import Place, PlaceError
from tiphys.cluster.netcheck.planned_rules import IPTABLES, USERSPACE
from tiphys.cluster.netcheck.trace.hop import Hop
from tiphys.proxy.nft_table import TABLE
from tiphys.proxy.plan import Backend, Frontend, Target

SHOWN_MAX: Final = 8


@dataclass(frozen=True, slots=True)
class Way:
    """Where packets go then, and as whom."""

    target: Target
    asked: str  # The address that the start calls: the Service's, or the endpoint's own.
    masqueraded: bool = False  # Whether the node replaces the source by an address of its own.
    by_process: bool = False  # In userspace mode the node's proxy calls, not the start.


def hop(
    place: Place,
    frontend: Frontend,
    frontends: Mapping[Frontend, Backend],
    services: Sequence[Obj],
    service_cidr: str,
    mode: str,
    *,
    near: bool = True,
) -> Hop | None:
    """None where no Service is meant: packets go to the address itself.

    near: whether packets are of the node itself or of a pod on it.
    """
    shown = f"{frontend.address}:{frontend.port}/{frontend.protocol}"
    backend = frontends.get(frontend)
    if backend is None:
        return _of_nobody(place, frontend, services, service_cidr, shown)
    targets = targets_of(backend, near=near)
    name = f"{shown} is the Service port {backend.service} ({backend.kind.value})"
    if not targets:
        verb = "dropped: no endpoint on this node" if backend.drop else "refused: no ready endpoint"
        return Hop("service", place.name, False, f"{name}: {verb}")
    ends = [f"{t.address}:{t.port}" for t in targets[:SHOWN_MAX]]
    more = f" and {len(targets) - SHOWN_MAX} more" if len(targets) > SHOWN_MAX else ""
    choice = "by chance" if mode != USERSPACE else "in turn"
    if backend.sticky_seconds:
        choice = f"the one that the client is with for {backend.sticky_seconds} s, else {choice}"
    return Hop("service", place.name, True, f"{name}; {mode}: {', '.join(ends)}{more}, {choice}")


def targets_of(backend: Backend, *, near: bool) -> tuple[Target, ...]:
    return backend.near if near and backend.near is not None else backend.targets


def _of_nobody(
    place: Place, frontend: Frontend, services: Sequence[Obj], service_cidr: str, shown: str
) -> Hop | None:
    if IPv4Address(frontend.address) not in IPv4Network(service_cidr):
        return None
    for service in services:
        spec = service["spec"]
        if frontend.address not in (spec.get("clusterIPs") or [spec.get("clusterIP")]):
            continue
        ports = ", ".join(_port(p) for p in spec.get("ports") or [])
        who = f"{namespace_of(service)}/{name_of(service)}"
        what = f"the Service {who} has no such port: it has {ports}; refused"
        return Hop("service", place.name, False, f"{shown}: {what}")
    return Hop("service", place.name, False, f"{shown}: no Service has this address; refused")


def _port(port: Obj) -> str:
    return f"{port['port']}/{(port.get('protocol') or 'TCP').lower()}"


def ways(
    frontend: Frontend,
    backend: Backend,
    source: str,
    pod_cidr: str,
    mode: str,
    *,
    near: bool = True,
) -> list[Way]:
    """One for each endpoint."""
    is_pod = bool(source) and IPv4Address(source) in IPv4Network(pod_cidr)
    found = []
    for target in targets_of(backend, near=near):
        hairpin = target.address == source
        by_process = mode == USERSPACE
        masqueraded = by_process or hairpin or not is_pod or backend.masquerade
        found.append(Way(target, frontend.address, masqueraded, by_process))
    return found


def written(place: Place, frontend: Frontend, backend: Backend, mode: str, *, is_pod: bool) -> str:
    """The kernel's rule for it; "" where there is none."""
    protocol, address, port = frontend
    try:
        if mode == IPTABLES:
            saved = place.run(["iptables-save", "-t", "nat"])
            match = f"-A KUBE-SERVICES -d {address}/32 -p {protocol} "
            lines = [line for line in saved.splitlines() if line.startswith(match)]
            return next((line for line in lines if f"--dport {port} " in line), "")
        near = "near-pods" if is_pod else "near-node"
        name = "services" if backend.near is None else near
        key = f"{{ {protocol} . {address} . {port} }}"
        told = place.run(["nft", "get", "element", "ip", TABLE, name, key])
    except PlaceError:
        return ""
    return f"map {name}: {element(told)}"


def element(told: str) -> str:
    """Of what `nft get element` prints. Pure."""
    return told.partition("elements = {")[2].partition("}")[0].strip()
