"""Validation of Services. Upstream: pkg/apis/core/validation/validation.go (validateService)."""

import ipaddress
from collections.abc import Sequence
from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, duplicate, forbidden, invalid, required
from tiphys.api.meta import Obj, annotations_of
from tiphys.apiserver.resources.rules.addresses import (
    legacy_address,
    legacy_network,
    parse_address,
)
from tiphys.apiserver.resources.rules.texts import (
    PROTOCOLS,
    each,
    label_name,
    labels,
    one_of,
    port_number,
    port_or_name,
    unsupported,
)

_FAMILIES: Final = ("IPv4", "IPv6")
_FAMILY_POLICIES: Final = ("PreferDualStack", "RequireDualStack", "SingleStack")
_TYPES: Final = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_DISTRIBUTIONS: Final = ("PreferClose", "PreferSameZone", "PreferSameNode")
_AFFINITY_SECONDS_MAX: Final = 86400
_RANGES_ANNOTATION: Final = "service.beta.kubernetes.io/load-balancer-source-ranges"
_LOCAL_MULTICAST: Final = (
    ipaddress.ip_network("224.0.0.0/24"),
    *(ipaddress.ip_network(f"ff{flags:x}2::/16") for flags in range(16)),
)
_HINTS_ANNOTATION: Final = "service.kubernetes.io/topology-aware-hints"
_MODE_ANNOTATION: Final = "service.kubernetes.io/topology-mode"
_ONLY_BALANCERS: Final = "may only be used when `type` is 'LoadBalancer'"


def is_headless(spec: Obj) -> bool:
    return (spec.get("clusterIPs") or [spec.get("clusterIP")])[:1] == ["None"]


def is_external(spec: Obj) -> bool:
    """Reachable from outside by nature of its type or by external addresses."""
    kind = spec.get("type")
    return kind in {"LoadBalancer", "NodePort"} or (
        kind == "ClusterIP" and bool(spec.get("externalIPs"))
    )


def validate_first(service: Obj) -> list[FieldError]:
    return cluster_addresses(service["spec"])


def validate(service: Obj) -> list[FieldError]:
    spec = service["spec"]
    kind, ports = spec.get("type", ""), spec.get("ports") or ()
    errors = _topology(annotations_of(service))
    if not ports and not is_headless(spec) and kind != "ExternalName":
        errors.append(required("spec.ports"))
    errors += _by_type(spec, kind)
    errors += _ports(ports)
    errors += labels(spec.get("selector"), "spec.selector")
    errors += _affinity(spec)
    for index, address in enumerate(spec.get("externalIPs") or ()):
        where = f"spec.externalIPs[{index}]"
        errors += legacy_address(address, where) or endpoint_address(address, where)
    errors += one_of(kind, "spec.type", _TYPES)
    errors += _port_collisions(ports, kind)
    errors += _source_ranges(service, kind)
    if spec.get("allocateLoadBalancerNodePorts") is not None and kind != "LoadBalancer":
        errors.append(forbidden("spec.allocateLoadBalancerNodePorts", _ONLY_BALANCERS))
    errors += balancer_class(spec, kind)
    return errors + _traffic(spec, kind)


def _topology(notes: dict[str, str]) -> list[FieldError]:
    """Old and new annotation for the same."""
    hints, mode = notes.get(_HINTS_ANNOTATION), notes.get(_MODE_ANNOTATION)
    if None in {hints, mode} or hints == mode:
        return []
    text = f"must match annotations[{_HINTS_ANNOTATION}] when both are specified"
    return [invalid(f"metadata.annotations[{_MODE_ANNOTATION}]", mode, text)]


def _by_type(spec: Obj, kind: str) -> list[FieldError]:
    if kind in {"LoadBalancer", "NodePort"} and is_headless(spec):
        text = f"may not be set to 'None' for {kind} services"
        return [invalid("spec.clusterIPs[0]", "None", text)]
    if kind != "ExternalName":
        return []
    text = "may not be set for ExternalName services"
    errors = [
        forbidden(f"spec.{field}", text)
        for field in ("clusterIPs", "ipFamilies", "ipFamilyPolicy")
        if spec.get(field)
    ]
    name = spec.get("externalName", "").removesuffix(".")
    if not name:
        return [*errors, required("spec.externalName")]
    return errors + each("spec.externalName", name, names.dns_subdomain(name))


def _ports(ports: Sequence[Obj]) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, port in enumerate(ports):
        where, name = f"spec.ports[{index}]", port.get("name", "")
        if not name and len(ports) > 1:
            errors.append(required(f"{where}.name"))
        elif name:
            errors += each(f"{where}.name", name, names.dns_label(name))
            if name in seen:
                errors.append(duplicate(f"{where}.name", name))
            seen.add(name)
        errors += port_number(port.get("port", 0), f"{where}.port")
        errors += one_of(port.get("protocol", ""), f"{where}.protocol", PROTOCOLS)
        errors += port_or_name(port.get("targetPort", 0), f"{where}.targetPort")
        if port.get("appProtocol") is not None:
            errors += label_name(port["appProtocol"], f"{where}.appProtocol")
    return errors


def _affinity(spec: Obj) -> list[FieldError]:
    affinity = spec.get("sessionAffinity", "")
    errors = one_of(affinity, "spec.sessionAffinity", ("ClientIP", "None"))
    if affinity != "ClientIP":
        return errors
    config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    seconds = config.get("timeoutSeconds")
    where = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
    if seconds is None:
        errors.append(required(where, "when session affinity type is ClientIP"))
    elif not 0 < seconds <= _AFFINITY_SECONDS_MAX:
        text = f"must be greater than 0 and less than {_AFFINITY_SECONDS_MAX}"
        errors.append(invalid(where, seconds, text))
    return errors


def cluster_addresses(spec: Obj) -> list[FieldError]:
    if spec.get("type") == "ExternalName":
        return []
    one, many = spec.get("clusterIP", ""), spec.get("clusterIPs") or []
    path = "spec.clusterIPs"
    errors: list[FieldError] = []
    if one and many and many[0] != one:
        errors.append(invalid(path, many, "first value must match `clusterIP`"))
    elif not one and many:
        errors.append(invalid(path, many, "must be empty when `clusterIP` is not specified"))
    families = spec.get("ipFamilies") or []
    for index, family in enumerate(families):
        where = f"spec.ipFamilies[{index}]"
        if family not in _FAMILIES:
            errors.append(unsupported(where, family, _FAMILIES))
        if family in families[:index]:
            errors.append(duplicate(where, family))
    policy = spec.get("ipFamilyPolicy")
    if policy is not None and policy not in _FAMILY_POLICIES:
        errors.append(unsupported("spec.ipFamilyPolicy", policy, _FAMILY_POLICIES))
    wrong = _each_address(many, path)
    errors += wrong
    if len(many) > 2:
        errors.append(invalid(path, many, "may only hold up to 2 values"))
    if wrong:
        return errors
    return errors + _families(many, families, path, headless=is_headless(spec))


def _each_address(many: Sequence[str], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, address in enumerate(many):
        if index == 0 and address == "None":
            if len(many) > 1:
                errors.append(invalid(path, many, "'None' must be the first and only value"))
            continue
        errors += legacy_address(address, f"{path}[{index}]")
    return errors


def _families(
    many: Sequence[str], families: Sequence[str], path: str, *, headless: bool
) -> list[FieldError]:
    errors: list[FieldError] = []
    versions = [_family(a) for a in many]
    if len(many) > 1 and len(set(versions)) != len(versions):
        text = "may specify no more than one IP for each IP family"
        errors.append(invalid(path, many, text))
    if headless:
        return errors
    for index, (address, family) in enumerate(zip(many, families, strict=False)):
        if family in _FAMILIES and versions[index] != family:
            text = f"expected an {family} value as indicated by `ipFamilies[{index}]`"
            errors.append(invalid(f"{path}[{index}]", address, text))
    return errors


def _family(address: str) -> str:
    found = parse_address(address)
    return "" if found is None else f"IPv{found.version}"


def endpoint_address(text: str, path: str) -> list[FieldError]:
    """Addresses that are special cannot be somebody's endpoint."""
    address = parse_address(text)
    if address is None:
        return [invalid(path, text, "must be a valid IP address")]
    address = getattr(address, "ipv4_mapped", None) or address
    why = ""
    if address.is_unspecified:
        why = f"may not be unspecified ({text})"
    elif address.is_loopback:
        why = "may not be in the loopback range (127.0.0.0/8, ::1/128)"
    elif address.is_link_local:
        why = "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
    elif any(address in network for network in _LOCAL_MULTICAST):
        why = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
    return [invalid(path, text, why)] if why else []


def _port_collisions(ports: Sequence[Obj], kind: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if kind == "ClusterIP":
        text = "may not be used when `type` is 'ClusterIP'"
        errors += [
            forbidden(f"spec.ports[{index}].nodePort", text)
            for index, port in enumerate(ports)
            if port.get("nodePort")
        ]
    node_ports: set[tuple[str, int]] = set()
    for index, port in enumerate(ports):
        node_port = (port.get("protocol", ""), port.get("nodePort", 0))
        if node_port[1] and node_port in node_ports:
            errors.append(duplicate(f"spec.ports[{index}].nodePort", node_port[1]))
        node_ports.add(node_port)
    seen: set[tuple[str, int]] = set()
    for index, port in enumerate(ports):
        key = (port.get("protocol", ""), port.get("port", 0))
        if key in seen:
            shown = {
                "Name": "",
                "Protocol": key[0],
                "AppProtocol": None,
                "Port": key[1],
                "TargetPort": 0,
                "NodePort": 0,
            }
            errors.append(duplicate(f"spec.ports[{index}]", shown))
        seen.add(key)
    return errors


def _source_ranges(service: Obj, kind: str) -> list[FieldError]:
    ranges = service["spec"].get("loadBalancerSourceRanges") or []
    noted = annotations_of(service).get(_RANGES_ANNOTATION)
    errors: list[FieldError] = []
    if ranges:
        path = "spec.LoadBalancerSourceRanges"
        if kind != "LoadBalancer":
            errors.append(forbidden(path, _ONLY_BALANCERS))
        for index, value in enumerate(ranges):
            errors += legacy_network(value.strip(), f"{path}[{index}]")
    elif noted is not None:
        path = f"metadata.annotations[{_RANGES_ANNOTATION}]"
        if kind != "LoadBalancer":
            errors.append(forbidden(path, _ONLY_BALANCERS))
        for value in noted.strip().split(",") if noted.strip() else ():
            errors += legacy_network(value.strip(), path)
    return errors


def balancer_class(spec: Obj, kind: str) -> list[FieldError]:
    name = spec.get("loadBalancerClass")
    if name is None:
        return []
    if kind != "LoadBalancer":
        return [forbidden("spec.loadBalancerClass", _ONLY_BALANCERS)]
    return label_name(name, "spec.loadBalancerClass")


def _traffic(spec: Obj, kind: str) -> list[FieldError]:
    policy, path = spec.get("externalTrafficPolicy", ""), "spec.externalTrafficPolicy"
    errors: list[FieldError] = []
    if is_external(spec):
        errors += one_of(policy, path, ("Cluster", "Local"))
    elif policy:
        text = "may only be set for externally-accessible services"
        errors.append(invalid(path, policy, text))
    port = spec.get("healthCheckNodePort", 0)
    if port and not (kind == "LoadBalancer" and policy == "Local"):
        text = (
            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        )
        errors.append(invalid("spec.healthCheckNodePort", port, text))
    elif port:
        errors += port_number(port, "spec.healthCheckNodePort")
    internal = spec.get("internalTrafficPolicy")
    if internal is None:
        if kind in {"NodePort", "LoadBalancer", "ClusterIP"}:
            errors.append(required("spec.internalTrafficPolicy"))
    elif internal not in {"Cluster", "Local"}:
        errors.append(unsupported("spec.internalTrafficPolicy", internal, ("Cluster", "Local")))
    distribution = spec.get("trafficDistribution")
    if distribution is not None and distribution not in _DISTRIBUTIONS:
        errors.append(unsupported("spec.trafficDistribution", distribution, _DISTRIBUTIONS))
    return errors
