"""EndpointSlice controller: a Service's endpoints in slices of at most 100.

Upstream: pkg/controller/endpointslice, k8s.io/endpointslice reconciler.go.
Reads Service, Pod, Node, EndpointSlice. Writes EndpointSlice.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from tiphys.api.meta import (
    Obj,
    ObjectKey,
    annotations_of,
    at,
    is_terminating,
    labels_of,
    metadata,
    name_of,
    namespace_of,
)
from tiphys.client.controller import Context, KeyedController
from tiphys.controllers import pods
from tiphys.controllers import service_endpoints as offered
from tiphys.controllers.endpoints import services_of
from tiphys.controllers.kinds import ENDPOINT_SLICES, NODES, PODS, SERVICES
from tiphys.controllers.managed_slices import (
    MANAGED_BY,
    SERVICE_NAME,
    ManagedSlices,
    Plan,
    controlled_by,
    name_prefix,
)
from tiphys.controllers.pods_by_namespace import pods_by_namespace
from tiphys.controllers.trigger_time_tracker import TriggerTimes

ENDPOINTS_MAX: Final = 100  # --max-endpoints-per-slice
CONTROLLER: Final = "endpointslice-controller.k8s.io"
ZONE: Final = "topology.kubernetes.io/zone"


def plan(
    service: Obj,
    selected: Sequence[Obj],
    zones: Mapping[str, str],
    existing: Sequence[Obj],
    trigger: str,
) -> Plan:
    """The slices to write so that they hold what the Service's pods offer, changing few of them.

    trigger: since when it is so (RFC 3339), or "".
    """
    create: list[Obj] = []
    update: list[Obj] = []
    delete: list[Obj] = []
    wanted = desired(service, selected, zones)
    types = {k[0] for k in wanted} | {s["addressType"] for s in existing}
    for family in sorted(types | set(offered.families(service))):
        have = [s for s in existing if s["addressType"] == family]
        groups = {k[1]: v for k, v in wanted.items() if k[0] == family}
        if not groups and family in offered.families(service):
            groups = {"null": []}  # A Service without pods has one empty slice.
        _plan_family(service, family, groups, have, trigger, create, update, delete)
    return Plan(tuple(create), tuple(update), tuple(delete))


def desired(
    service: Obj, selected: Sequence[Obj], zones: Mapping[str, str]
) -> dict[tuple[str, str], list[Obj]]:
    """(address type, ports as JSON) -> endpoints."""
    found: dict[tuple[str, str], list[Obj]] = {}
    for pod in selected:
        if not offered.should_be_listed(pod, include_terminating=True):
            continue
        ports = offered.ports_of(pod, service)
        for family in offered.families(service):
            if ip := offered.address_of(pod, family):
                key = (family, json.dumps(ports) if ports else "null")
                found.setdefault(key, []).append(endpoint(pod, service, ip, zones))
    return found


def endpoint(pod: Obj, service: Obj, ip: str, zones: Mapping[str, str]) -> Obj:
    """One entry of a slice. Source: podToEndpoint."""
    serving, terminating = pods.is_ready(pod), is_terminating(pod)
    ready = offered.publishes_not_ready(service) or (serving and not terminating)
    entry: Obj = {
        "addresses": [ip],
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
    }
    if hostname := offered.hostname_of(pod, service):
        entry["hostname"] = hostname
    entry["targetRef"] = offered.target_reference(pod)
    if node := pods.node_name(pod):
        entry["nodeName"] = node
        if zone := zones.get(node):
            entry["zone"] = zone
    return entry


def _plan_family(
    service: Obj,
    family: str,
    groups: Mapping[str, list[Obj]],
    have: Sequence[Obj],
    trigger: str,
    create: list[Obj],
    update: list[Obj],
    delete: list[Obj],
) -> None:
    by_ports: dict[str, list[Obj]] = {}
    for found in have:
        by_ports.setdefault(_ports_key(found), []).append(found)
    for ports_key, endpoints in groups.items():
        slices = by_ports.pop(ports_key, [])
        if not slices and by_ports and ports_key != "null":
            # An empty slice of other ports is taken over instead of left behind.
            spare = next((k for k, v in by_ports.items() if k == "null" and v), None)
            slices = by_ports.pop(spare) if spare is not None else []
        _fill(service, family, ports_key, endpoints, slices, trigger, create, update, delete)
    for rest in by_ports.values():
        delete.extend(rest)


def _fill(
    service: Obj,
    family: str,
    ports_key: str,
    endpoints: Sequence[Obj],
    slices: Sequence[Obj],
    trigger: str,
    create: list[Obj],
    update: list[Obj],
    delete: list[Obj],
) -> None:
    """Endpoints stay in the slice they are in; new ones fill up slices with room."""
    left = {_identity(e): e for e in endpoints}
    contents: list[list[Obj]] = []
    for found in slices:
        kept = [
            left.pop(_identity(e)) for e in found.get("endpoints") or [] if _identity(e) in left
        ]
        contents.append(kept)
    fresh = list(left.values())
    for kept in contents:
        room = ENDPOINTS_MAX - len(kept)
        kept += fresh[:room]
        fresh = fresh[room:]
    for found, kept in zip(slices, contents, strict=True):
        if not kept and (len(slices) > 1 and any(contents)):
            delete.append(found)
            continue
        wanted = _slice(service, family, ports_key, kept, found, trigger)
        if wanted is not None:
            update.append(wanted)
    while fresh or not slices:
        made = _slice(service, family, ports_key, fresh[:ENDPOINTS_MAX], None, trigger)
        assert made is not None
        create.append(made)
        fresh = fresh[ENDPOINTS_MAX:]
        if not fresh:
            break


def _slice(
    service: Obj,
    family: str,
    ports_key: str,
    endpoints: Sequence[Obj],
    existing: Obj | None,
    trigger: str,
) -> Obj | None:
    """The slice to write; None when the existing one says the same."""
    labels = {
        **labels_of(service),
        MANAGED_BY: CONTROLLER,
        SERVICE_NAME: name_of(service),
    }
    if offered.is_headless(service):
        labels[offered.HEADLESS_LABEL] = ""
    ports = json.loads(ports_key)
    annotations = dict(annotations_of(existing)) if existing else {}
    if existing is not None:
        same = (existing.get("endpoints") or []) == list(endpoints)
        same_ports = (existing.get("ports") or None) == (ports or None)
        if same and same_ports and labels_of(existing) == labels:
            return None
    annotations.pop(offered.TRIGGER_TIME, None)
    if trigger:
        annotations[offered.TRIGGER_TIME] = trigger
    described: Obj = (
        dict(metadata(existing))
        if existing
        else {
            "generateName": name_prefix(name_of(service)),
            "namespace": namespace_of(service),
            "ownerReferences": [controlled_by(service, "Service")],
        }
    )
    described["labels"] = labels
    described["annotations"] = annotations
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": described,
        "addressType": family,
        "endpoints": list(endpoints),
        "ports": ports,
    }


def _identity(entry: Obj) -> str:
    return str(at(entry, "targetRef", "uid", default="")) + json.dumps(entry.get("addresses"))


def _ports_key(found: Obj) -> str:
    ports = found.get("ports")
    return json.dumps(ports) if ports else "null"


class EndpointSliceController(KeyedController):
    name = "endpoint-slice-controller"

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._client = context.client_for("endpointslice-controller")
        self._triggers = TriggerTimes()
        self._services = context.informers.of(SERVICES)
        self._nodes = context.informers.of(NODES)
        self._pods = pods_by_namespace(context.informers.of(PODS))
        self._services.on_change(self.enqueue)
        slices = context.informers.of(ENDPOINT_SLICES)
        self._slices = ManagedSlices(self._client, slices, CONTROLLER, self.queue.add)
        context.informers.of(PODS).on_change(self._pod_changed)

    def _pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        for key in services_of(self._services.items(), old, new):
            self.queue.add(key)

    async def reconcile(self, key: ObjectKey) -> float | None:
        service = self._services.get(key)
        if service is None:
            self._triggers.forget(key)
            await self._slices.remove(key)
            return None
        selector = offered.selector_of(service)
        if selector is None:
            return None
        zones = {name_of(n): labels_of(n).get(ZONE, "") for n in self._nodes.items()}
        selected = self._pods.matching(
            key.namespace, lambda found: selector.items() <= found.items()
        )
        trigger = self._triggers.changed(key, service, selected)
        changes = plan(service, selected, zones, self._slices.of(key), trigger)
        await self._slices.apply(key, changes)
        return None
