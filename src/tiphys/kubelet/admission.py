"""Whether this node takes a pod that was bound to it.

Upstream: pkg/kubelet/lifecycle/predicate.go, pkg/kubelet/sysctl/allowlist.go; scheduler plugins'
reasons for pods that were not bound by our scheduler.
"""

from collections.abc import Iterable
from typing import Final

from tiphys.api.meta import Obj, at, labels_of, uid_of
from tiphys.kubelet import quantities
from tiphys.kubelet.pod_phase import is_terminal
from tiphys.kubelet.pod_spec import containers_of, is_host_network, pod_requests
from tiphys.kubelet.pod_status import Verdict
from tiphys.kubelet.sandbox_config import SAFE_SYSCTLS, sysctl_name

NODE_AFFINITY: Final = "node(s) didn't match Pod's node affinity/selector"
NODE_PORTS: Final = "node(s) didn't have free ports for the requested pod ports"


def refusal(
    pod: Obj, node: Obj, others: Iterable[Obj], allocatable: dict[str, str]
) -> Verdict | None:
    """Why the pod is not taken; None when it is."""
    running = [
        p
        for p in others
        if uid_of(p) != uid_of(pod) and not is_terminal(at(p, "status", "phase", default=""))
    ]
    return (
        _sysctls(pod)
        or _resources(pod, running, allocatable)
        or _node_affinity(pod, node)
        or _ports(pod, running)
    )


def _sysctls(pod: Obj) -> Verdict | None:
    for sysctl in at(pod, "spec", "securityContext", "sysctls", default=[]):
        name = sysctl_name(sysctl["name"])
        if name not in SAFE_SYSCTLS:
            return Verdict("SysctlForbidden", f'forbidden sysctl: "{name}" not allowlisted')
    return None


def _resources(pod: Obj, running: list[Obj], allocatable: dict[str, str]) -> Verdict | None:
    most = quantities.value_of(allocatable, "pods")
    if most and len(running) + 1 > most:
        return _out_of("pods", 1, len(running), most)
    wanted = pod_requests(pod)
    for name in sorted(wanted, key=lambda n: (n != "cpu", n != "memory", n)):
        amount = _amount(wanted, name)
        capacity = _amount(allocatable, name)
        used = sum(_amount(pod_requests(p), name) for p in running)
        if amount and amount > capacity - used:
            return _out_of(name, amount, used, capacity)
    return None


def _amount(resources: dict[str, str], name: str) -> int:
    """CPU counts in thousandths."""
    if name == "cpu":
        return quantities.milli_of(resources, name)
    return quantities.value_of(resources, name)


def _out_of(name: str, wanted: int, used: int, capacity: int) -> Verdict:
    return Verdict(
        f"OutOf{name}",
        f"Node didn't have enough resource: {name}, requested: {wanted}, "
        f"used: {used}, capacity: {capacity}",
    )


def _node_affinity(pod: Obj, node: Obj) -> Verdict | None:
    labels = labels_of(node)
    selector = at(pod, "spec", "nodeSelector", default={})
    fits: bool = all(labels.get(k) == v for k, v in selector.items())
    required = at(
        pod,
        "spec",
        "affinity",
        "nodeAffinity",
        "requiredDuringSchedulingIgnoredDuringExecution",
        "nodeSelectorTerms",
    )
    if fits and required is not None:
        fits = any(_matches_term(term, node) for term in required)
    if fits:
        return None
    return Verdict("NodeAffinity", f"Predicate NodeAffinity failed: {NODE_AFFINITY}")


def _matches_term(term: Obj, node: Obj) -> bool:
    expressions = term.get("matchExpressions") or []
    fields = term.get("matchFields") or []
    if not expressions and not fields:
        return False
    names = {"metadata.name": str(at(node, "metadata", "name", default=""))}
    return all(_matches(e, labels_of(node)) for e in expressions) and all(
        _matches(e, names) for e in fields
    )


def _matches(expression: Obj, values: dict[str, str]) -> bool:
    found = values.get(expression["key"])
    wanted: list[str] = expression.get("values") or []
    operator = expression["operator"]
    if operator == "In":
        return found in wanted
    if operator == "NotIn":
        return found not in wanted
    if operator in ("Exists", "DoesNotExist"):
        return bool((found is not None) == (operator == "Exists"))
    try:
        number, bound = int(found or ""), int(wanted[0])
    except (ValueError, IndexError):
        return False
    return number > bound if operator == "Gt" else number < bound


def _ports(pod: Obj, running: list[Obj]) -> Verdict | None:
    taken = [port for other in running for port in _host_ports(other)]
    for wanted in _host_ports(pod):
        if any(_collide(wanted, port) for port in taken):
            return Verdict("NodePorts", f"Predicate NodePorts failed: {NODE_PORTS}")
    return None


def _host_ports(pod: Obj) -> list[tuple[str, str, int]]:
    found = []
    for container in [*containers_of(pod, "init"), *containers_of(pod, "main")]:
        for port in container.get("ports") or []:
            number = port.get("hostPort") or (
                port.get("containerPort") if is_host_network(pod) else 0
            )
            if number:
                address = port.get("hostIP") or "0.0.0.0"
                found.append((address, str(port.get("protocol") or "TCP"), int(number)))
    return found


def _collide(one: tuple[str, str, int], other: tuple[str, str, int]) -> bool:
    everywhere = ("0.0.0.0", "::")
    same_address = one[0] == other[0] or one[0] in everywhere or other[0] in everywhere
    return same_address and one[1:] == other[1:]
