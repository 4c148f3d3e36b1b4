"""Endpoints controller: the legacy list of a Service's addresses.

Upstream: pkg/controller/endpoint/endpoints_controller.go.
Reads Service, Pod. Writes Endpoints.
"""

import json
from collections.abc import Sequence
from typing import Final

from tiphys.api.errors import AlreadyExists, NotFound
from tiphys.api.meta import (
    Obj,
    ObjectKey,
    annotations_of,
    at,
    key_of,
    labels_of,
    metadata,
    name_of,
    namespace_of,
)
from tiphys.client.controller import Context, KeyedController
from tiphys.controllers import pods
from tiphys.controllers import service_endpoints as offered
from tiphys.controllers.kinds import ENDPOINTS, PODS, SERVICES
from tiphys.controllers.pods_by_namespace import pods_by_namespace
from tiphys.controllers.trigger_time_tracker import TriggerTimes

ADDRESSES_MAX: Final = 1000  # maxCapacity: more are cut, and an annotation says so.
OVER_CAPACITY: Final = "endpoints.kubernetes.io/over-capacity"
MANAGED_BY: Final = "endpoints.kubernetes.io/managed-by"


def plan(service: Obj, selected: Sequence[Obj], existing: Obj | None, trigger: str) -> Obj | None:
    """The Endpoints that a Service should have; None when the existing one is right.

    selected: the pods its selector matches. trigger: since when it is so (RFC 3339), or "".
    """
    subsets = subsets_of(service, selected)
    subsets, cut = _within_capacity(subsets)
    labels = {**labels_of(service), MANAGED_BY: "endpoint-controller"}
    if offered.is_headless(service):
        labels[offered.HEADLESS_LABEL] = ""
    before = annotations_of(existing) if existing else {}
    same = existing is not None and (existing.get("subsets") or []) == subsets
    if same and labels_of(existing or {}) == labels and (OVER_CAPACITY in before) == cut:
        return None
    ours = (OVER_CAPACITY, offered.TRIGGER_TIME)
    annotations = {k: v for k, v in before.items() if k not in ours}
    if cut:
        annotations[OVER_CAPACITY] = "truncated"
    if trigger:
        annotations[offered.TRIGGER_TIME] = trigger
    base = dict(metadata(existing)) if existing else {}
    described = {
        **base,
        "name": name_of(service),
        "namespace": namespace_of(service),
        "labels": labels,
        "annotations": annotations,
    }
    wanted: Obj = {"apiVersion": "v1", "kind": "Endpoints", "metadata": described}
    return wanted | ({"subsets": subsets} if subsets else {})


def subsets_of(service: Obj, selected: Sequence[Obj]) -> list[Obj]:
    """Addresses with the same ports together, each ready or not. Source: RepackSubsets."""
    grouped: dict[str, tuple[list[Obj], dict[str, Obj], dict[str, Obj]]] = {}
    family = offered.families(service)[0]
    for pod in selected:
        include = offered.publishes_not_ready(service)
        if not offered.should_be_listed(pod, include_terminating=include):
            continue
        ip = offered.address_of(pod, family)
        if not ip:
            continue
        ports = offered.ports_of(pod, service)
        if not ports and not (offered.is_headless(service) and not _ports(service)):
            continue
        key = json.dumps(sorted(ports, key=_port_order))
        _, ready, other = grouped.setdefault(key, (ports, {}, {}))
        listed = ready if include or pods.is_ready(pod) else other
        listed[ip] = _address(pod, service, ip)
    found = []
    for ports, ready, other in grouped.values():
        subset: Obj = {}
        if ready:
            subset["addresses"] = [ready[ip] for ip in sorted(ready, key=_ip_order)]
        if other:
            subset["notReadyAddresses"] = [other[ip] for ip in sorted(other, key=_ip_order)]
        if ports:
            subset["ports"] = [_without_empty_name(p) for p in sorted(ports, key=_port_order)]
        found.append(subset)
    return sorted(found, key=lambda s: json.dumps(s.get("ports", [])))


def _ports(service: Obj) -> list[Obj]:
    found: list[Obj] = at(service, "spec", "ports", default=[])
    return found


def _address(pod: Obj, service: Obj, ip: str) -> Obj:
    address: Obj = {"ip": ip}
    if hostname := offered.hostname_of(pod, service):
        address["hostname"] = hostname
    if node := pods.node_name(pod):
        address["nodeName"] = node
    return address | {"targetRef": offered.target_reference(pod)}


def _without_empty_name(port: Obj) -> Obj:
    return {k: v for k, v in port.items() if k != "name" or v}


def _port_order(port: Obj) -> tuple[str, int, str]:
    return (port["name"], port["port"], port["protocol"])


def _ip_order(ip: str) -> tuple[int, ...]:
    return tuple(int(part) for part in ip.split(".")) if ":" not in ip else (999, hash(ip))


def _within_capacity(subsets: list[Obj]) -> tuple[list[Obj], bool]:
    count = sum(len(s.get("addresses", [])) + len(s.get("notReadyAddresses", [])) for s in subsets)
    if count <= ADDRESSES_MAX:
        return subsets, False
    left, cut = ADDRESSES_MAX, []
    for subset in subsets:
        shorter = dict(subset)
        for name in ("addresses", "notReadyAddresses"):
            if name in shorter:
                shorter[name] = shorter[name][:left]
                left -= len(shorter[name])
        cut.append({k: v for k, v in shorter.items() if v})
    return cut, True


class EndpointsController(KeyedController):
    name = "endpoint-controller"

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._client = context.client_for("endpoint-controller")
        self._triggers = TriggerTimes()
        self._services = context.informers.of(SERVICES)
        self._endpoints = context.informers.of(ENDPOINTS)
        self._pods = pods_by_namespace(context.informers.of(PODS))
        self._services.on_change(self.enqueue)
        self._endpoints.on_change(self.enqueue)
        context.informers.of(PODS).on_change(self._pod_changed)

    def _pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        for key in services_of(self._services.items(), old, new):
            self.queue.add(key)

    async def reconcile(self, key: ObjectKey) -> float | None:
        service = self._services.get(key)
        existing = self._endpoints.get(key)
        if service is None:
            self._triggers.forget(key)
            await self._remove(existing)
            return None
        selector = offered.selector_of(service)
        if selector is None:
            return None
        selected = self._pods.matching(
            key.namespace, lambda found: selector.items() <= found.items()
        )
        trigger = self._triggers.changed(key, service, selected)
        wanted = plan(service, selected, existing, trigger)
        if wanted is None:
            return None
        if existing is not None:
            await self._client.update(ENDPOINTS, wanted)
            return None
        try:
            await self._client.create(ENDPOINTS, wanted)
        except AlreadyExists:
            return 0.1  # The cache lags behind; look again.
        return None

    async def _remove(self, existing: Obj | None) -> None:
        if existing is None or labels_of(existing).get(MANAGED_BY) != "endpoint-controller":
            return
        try:
            await self._client.delete(ENDPOINTS, name_of(existing), namespace_of(existing))
        except NotFound:
            return


def services_of(services: Sequence[Obj], old: Obj | None, new: Obj | None) -> list[ObjectKey]:
    """The Services that a pod belonged or belongs to."""
    found = []
    for service in services:
        selector = offered.selector_of(service)
        if selector is None:
            continue
        for pod in (old, new):
            if (
                pod is not None
                and namespace_of(pod) == namespace_of(service)
                and offered.selects(selector, pod)
            ):
                found.append(key_of(service))
                break
    return found
