"""What an update of a Service keeps although it does not name it, and drops although it does.

Upstream: pkg/registry/core/service/storage/storage.go (patchAllocatedValues) and strategy.go
(dropTypeDependentFields).
"""

from typing import Final

from tiphys.api.meta import Obj

_OF_ADDRESS: Final = ("clusterIP", "clusterIPs")
_OF_FAMILY: Final = ("ipFamilies", "ipFamilyPolicy")


def follow_address(spec: Obj, before: Obj) -> None:
    """Who changes one of the two fields for the address means both.

    Source: storage.go (normalizeClusterIPs).
    """
    one, many = spec.get("clusterIP", ""), spec.get("clusterIPs") or []
    old_one, old_many = before.get("clusterIP", ""), before.get("clusterIPs") or []
    if one != old_one and many == old_many:
        spec["clusterIPs"] = [one, *many[1:]] if one else []
    elif one == old_one and old_many and not many:
        spec.pop("clusterIP", None)


def keep_allocated(spec: Obj, before: Obj) -> None:
    """What the server gave once stays where the update does not name it."""
    if "ExternalName" not in {spec.get("type"), before.get("type")}:
        if not spec.get("clusterIP") and not spec.get("clusterIPs"):
            for field in ("clusterIP", "clusterIPs"):
                if field in before:
                    spec[field] = before[field]
        elif not spec.get("clusterIPs"):
            spec["clusterIPs"] = [spec["clusterIP"]]
        for field in ("ipFamilies", "ipFamilyPolicy"):
            if field in before:
                spec.setdefault(field, before[field])
    if _is_given_node_ports(spec) and _is_given_node_ports(before):
        _keep_node_ports(spec.get("ports") or [], before.get("ports") or [])
    local = ("LoadBalancer", "Local")
    if all((s.get("type"), s.get("externalTrafficPolicy")) == local for s in (spec, before)):
        number = before.get("healthCheckNodePort")
        if number:
            spec.setdefault("healthCheckNodePort", number)


def _keep_node_ports(ports: list[Obj], before: list[Obj]) -> None:
    """By the ports' names; a node port that another port of the update has stays with that one."""
    held = {p.get("name", ""): p.get("nodePort", 0) for p in before}
    taken = {p.get("nodePort", 0) for p in ports} & set(held.values())
    for port in ports:
        number = held.get(port.get("name", ""), 0)
        if number and not port.get("nodePort") and number not in taken:
            port["nodePort"] = number


def drop_of_type(spec: Obj, before: Obj) -> None:
    """A new type leaves behind what only the old one needed, unless the update changes it too."""
    if _has_address(before) and not _has_address(spec):
        if all(spec.get(f) == before.get(f) for f in _OF_ADDRESS):
            _drop(spec, before, *_OF_ADDRESS)
        _drop(spec, before, *_OF_FAMILY)
    if _has_node_ports(before) and not _has_node_ports(spec):
        _drop_node_ports(spec, before)
    if _asks_for_health(before) and not _asks_for_health(spec):
        _drop(spec, before, "healthCheckNodePort")
    if _is_balancer(before) and not _is_balancer(spec):
        _drop(spec, before, "allocateLoadBalancerNodePorts", "loadBalancerClass")
    if _is_external(before) and not _is_external(spec):
        _drop(spec, before, "externalTrafficPolicy")


def _drop(spec: Obj, before: Obj, *fields: str) -> None:
    for field in fields:
        if field in spec and spec[field] == before.get(field):
            del spec[field]


def _drop_node_ports(spec: Obj, before: Obj) -> None:
    """Ports may come and go, as long as no node port is new."""
    old = {p.get("nodePort") for p in before.get("ports") or ()}
    ports = spec.get("ports") or []
    if ports and all(p["nodePort"] in old for p in ports if p.get("nodePort")):
        spec["ports"] = [{k: v for k, v in p.items() if k != "nodePort"} for p in ports]


def _has_address(spec: Obj) -> bool:
    return spec.get("type") in {"ClusterIP", "NodePort", "LoadBalancer"}


def _has_node_ports(spec: Obj) -> bool:
    """May have: a balancer keeps those it has even when it is to be given none."""
    return spec.get("type") in {"NodePort", "LoadBalancer"}


def _is_given_node_ports(spec: Obj) -> bool:
    wanted: bool = spec.get("allocateLoadBalancerNodePorts", True)
    return spec.get("type") == "NodePort" or (_is_balancer(spec) and wanted)


def _asks_for_health(spec: Obj) -> bool:
    return _is_balancer(spec) and spec.get("externalTrafficPolicy") == "Local"


def _is_balancer(spec: Obj) -> bool:
    return spec.get("type") == "LoadBalancer"


def _is_external(spec: Obj) -> bool:
    """Reached from outside: the policy for outside traffic means something."""
    by_address = spec.get("type") == "ClusterIP" and bool(spec.get("externalIPs"))
    return spec.get("type") in {"NodePort", "LoadBalancer"} or by_address
