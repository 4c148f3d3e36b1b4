"""Service. Upstream: pkg/registry/core/service/strategy.go, pkg/apis/core/v1/defaults.go."""

from datetime import datetime
from typing import Any, Final

from tiphys.api.meta import Obj, at
from tiphys.api.names import name_is_dns_label
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.core import service_change_rules, service_rules, service_update
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules import warnings, workload_status

_INFO = built_in("", "v1", "services")

AFFINITY_SECONDS_DEFAULT: Final = 10800


def default(service: Obj) -> None:
    spec = service["spec"]
    spec.setdefault("sessionAffinity", "None")
    spec.setdefault("type", "ClusterIP")
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif (
        spec["sessionAffinity"] == "ClientIP"
        and at(spec, "sessionAffinityConfig", "clientIP", "timeoutSeconds") is None
    ):
        spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": AFFINITY_SECONDS_DEFAULT}}
    for port in spec.get("ports") or ():
        port.setdefault("protocol", "TCP")
        if port.get("targetPort") in {None, 0, ""}:
            port["targetPort"] = port.get("port", 0)
    _default_traffic(spec)
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
        for ingress in at(service, "status", "loadBalancer", "ingress", default=[]):
            if ingress.get("ip"):
                ingress.setdefault("ipMode", "VIP")
    service.setdefault("status", {}).setdefault("loadBalancer", {})


def _default_traffic(spec: Obj) -> None:
    kind = spec["type"]
    external = kind in {"NodePort", "LoadBalancer"} or (
        kind == "ClusterIP" and bool(spec.get("externalIPs"))
    )
    if external:
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if kind in {"ClusterIP", "NodePort", "LoadBalancer"}:
        spec.setdefault("internalTrafficPolicy", "Cluster")


def before_create(service: Obj) -> None:
    service["status"] = {"loadBalancer": {}}
    spec = service["spec"]
    if spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]


def before_update(new: Obj, old: Obj) -> None:
    generation.keep_status(new, old)
    service_update.follow_address(new["spec"], old["spec"])
    service_update.keep_allocated(new["spec"], old["spec"])
    service_update.drop_of_type(new["spec"], old["spec"])
    if new["spec"].get("type") != "LoadBalancer":
        new["status"] = {"loadBalancer": {}}


def _cluster_ip(service: Obj, _: datetime) -> Any:
    return at(service, "spec", "clusterIPs", 0) or "<none>"


def _external_ip(service: Obj, _: datetime) -> Any:
    spec = service.get("spec") or {}
    external = ",".join(spec.get("externalIPs") or ())
    match spec.get("type"):
        case "ClusterIP" | "NodePort":
            return external or "<none>"
        case "LoadBalancer":
            balanced = _balancer_addresses(service)
            return ",".join(a for a in (balanced, external) if a) or "<pending>"
        case "ExternalName":
            return spec.get("externalName", "")
    return "<unknown>"


def _balancer_addresses(service: Obj) -> str:
    ingress = at(service, "status", "loadBalancer", "ingress", default=[])
    return ",".join(sorted({i.get("ip") or i.get("hostname") or "" for i in ingress} - {""}))


def _ports(service: Obj, _: datetime) -> Any:
    return ",".join(map(_port, at(service, "spec", "ports", default=[]))) or "<none>"


def _port(port: Obj) -> str:
    node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port.get('port', 0)}{node_port}/{port.get('protocol', '')}"


SERVICE = Resource(
    _INFO,
    allow_create_on_update=True,
    validate_first=service_rules.validate_first,
    validate=service_rules.validate,
    warnings=warnings.service,
    status_warnings=warnings.balancer_status,
    validate_update=service_change_rules.validate_update,
    update_order=("meta", "change", "whole"),
    default=default,
    before_create=before_create,
    before_update=before_update,
    validate_status_update=workload_status.service,
    before_status_update=generation.status_updated,
    validate_name=name_is_dns_label,
    columns=columns_of(
        _INFO,
        cells.name,
        cells.value("spec", "type"),
        _cluster_ip,
        _external_ip,
        _ports,
        cells.age,
        cells.label_map("spec", "selector"),
    ),
    selectable_fields={
        "spec.clusterIP": lambda s: str(at(s, "spec", "clusterIP", default="")),
        "spec.type": lambda s: str(at(s, "spec", "type", default="")),
    },
)
