"""What a Service's pods offer: addresses, readiness, ports. Pure; for endpoints and slices.

Upstream: pkg/api/v1/endpoints, k8s.io/endpointslice utils.go, pkg/api/v1/pod FindPort.
"""

from collections.abc import Iterable
from typing import Any, Final

from tiphys.api.meta import (
    Obj,
    annotations_of,
    at,
    is_terminating,
    labels_of,
    name_of,
    namespace_of,
    uid_of,
)
from tiphys.controllers import pods

HEADLESS_LABEL: Final = "service.kubernetes.io/headless"
TRIGGER_TIME: Final = "endpoints.kubernetes.io/last-change-trigger-time"
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"


def is_headless(service: Obj) -> bool:
    return bool(at(service, "spec", "clusterIP") == "None")


def selector_of(service: Obj) -> dict[str, str] | None:
    """None when somebody else makes the endpoints."""
    found: dict[str, str] | None = at(service, "spec", "selector")
    if at(service, "spec", "type") == "ExternalName":
        return None
    return found or None


def selects(selector: dict[str, str], pod: Obj) -> bool:
    return selector.items() <= labels_of(pod).items()


def publishes_not_ready(service: Obj) -> bool:
    return bool(at(service, "spec", "publishNotReadyAddresses", default=False))


def should_be_listed(pod: Obj, *, include_terminating: bool) -> bool:
    """Finished pods and pods without an address have nothing to offer."""
    if pods.is_finished(pod) or not addresses(pod):
        return False
    return include_terminating or not is_terminating(pod)


def addresses(pod: Obj) -> list[str]:
    many = [str(i["ip"]) for i in at(pod, "status", "podIPs", default=[]) if i.get("ip")]
    one = at(pod, "status", "podIP", default="")
    return many or ([one] if one else [])


def address_of(pod: Obj, family: str) -> str:
    """The pod's address of a family (IPv4 or IPv6), or ""."""
    return next((a for a in addresses(pod) if (":" in a) == (family == "IPv6")), "")


def families(service: Obj) -> list[str]:
    """The address types of a Service; one without families is IPv4."""
    return list(at(service, "spec", "ipFamilies", default=[])) or ["IPv4"]


def port_number(pod: Obj, service_port: Obj) -> int | None:
    """The port of a pod that a Service port means; None when the pod has no port of that name."""
    target: Any = service_port.get("targetPort")
    if target is None:
        return int(service_port["port"])
    if isinstance(target, int):
        return target or int(service_port["port"])
    protocol = service_port.get("protocol") or "TCP"
    for container in _containers(pod):
        for port in container.get("ports") or []:
            if port.get("name") == target and (port.get("protocol") or "TCP") == protocol:
                return int(port["containerPort"])
    return None


def _containers(pod: Obj) -> Iterable[Obj]:
    yield from at(pod, "spec", "containers", default=[])
    for container in at(pod, "spec", "initContainers", default=[]):
        if container.get("restartPolicy") == "Always":
            yield container


def ports_of(pod: Obj, service: Obj) -> list[Obj]:
    """Every port that the pod offers for the Service, as name, port, protocol, appProtocol."""
    found = []
    for service_port in at(service, "spec", "ports", default=[]):
        number = port_number(pod, service_port)
        if number is None:
            continue
        port: Obj = {
            "name": service_port.get("name", ""),
            "port": number,
            "protocol": service_port.get("protocol") or "TCP",
        }
        if service_port.get("appProtocol"):
            port["appProtocol"] = service_port["appProtocol"]
        found.append(port)
    return found


def target_reference(pod: Obj) -> Obj:
    return {
        "kind": "Pod",
        "namespace": namespace_of(pod),
        "name": name_of(pod),
        "uid": uid_of(pod),
    }


def hostname_of(pod: Obj, service: Obj) -> str:
    """The pod's host name where the Service is its subdomain."""
    hostname = str(at(pod, "spec", "hostname", default=""))
    same = at(pod, "spec", "subdomain") == name_of(service)
    return hostname if hostname and same and namespace_of(pod) == namespace_of(service) else ""


def copied_annotations(source: Obj) -> dict[str, str]:
    """The annotations of Endpoints that their mirrors get too."""
    left = (LAST_APPLIED, TRIGGER_TIME)
    return {k: v for k, v in annotations_of(source).items() if k not in left}
