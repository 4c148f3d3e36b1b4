"""EndpointSlice mirroring: Endpoints that a user wrote for a Service without selector, as slices.

Upstream: pkg/controller/endpointslicemirroring (reconciler.go, utils.go).
Reads Endpoints, Service, EndpointSlice. Writes EndpointSlice.
"""

import json
from collections.abc import Sequence
from typing import Final

from tiphys.api.meta import (
    Obj,
    ObjectKey,
    annotations_of,
    at,
    labels_of,
    metadata,
    name_of,
    namespace_of,
)
from tiphys.client.controller import Context, KeyedController
from tiphys.controllers import service_endpoints as offered
from tiphys.controllers.kinds import ENDPOINT_SLICES, ENDPOINTS, SERVICES
from tiphys.controllers.managed_slices import (
    MANAGED_BY,
    SERVICE_NAME,
    ManagedSlices,
    Plan,
    controlled_by,
    name_prefix,
)

CONTROLLER: Final = "endpointslicemirroring-controller.k8s.io"
SKIP: Final = "endpointslice.kubernetes.io/skip-mirror"
LEADER: Final = "control-plane.alpha.kubernetes.io/leader"
PER_SUBSET_MAX: Final = 1000  # --mirroring-max-endpoints-per-subset, and the size of a slice


def is_mirrored(endpoints: Obj) -> bool:
    """Neither opted out nor a lock of old leader election."""
    return labels_of(endpoints).get(SKIP) != "true" and LEADER not in annotations_of(endpoints)


def plan(endpoints: Obj, existing: Sequence[Obj]) -> Plan:
    """The slices to write so that they say what the Endpoints say."""
    create: list[Obj] = []
    update: list[Obj] = []
    left: dict[tuple[str, str], list[Obj]] = {}
    for found in existing:
        left.setdefault(_group(found["addressType"], found.get("ports") or []), []).append(found)
    for (family, ports), entries in desired(endpoints).items():
        same = left.get((family, ports), [])
        have = same.pop(0) if same else None
        wanted = _slice(endpoints, family, json.loads(ports), entries, have)
        if have is None:
            create.append(wanted)
        elif _says(have) != _says(wanted):
            update.append(wanted)
    return Plan(tuple(create), tuple(update), tuple(s for many in left.values() for s in many))


def desired(endpoints: Obj) -> dict[tuple[str, str], list[Obj]]:
    """(address type, ports as JSON) -> entries of a slice."""
    found: dict[tuple[str, str], list[Obj]] = {}
    for subset in endpoints.get("subsets") or []:
        ports = [{"name": ""} | port for port in subset.get("ports") or []]
        entries = [
            (address, ready)
            for name, ready in (("addresses", True), ("notReadyAddresses", False))
            for address in subset.get(name) or []
        ]
        for address, ready in entries[:PER_SUBSET_MAX]:
            family = "IPv6" if ":" in address["ip"] else "IPv4"
            many = found.setdefault(_group(family, ports), [])
            if len(many) < PER_SUBSET_MAX:
                many.append(_entry(address, ready=ready))
    return found


def _entry(address: Obj, *, ready: bool) -> Obj:
    entry: Obj = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
    for name in ("hostname", "nodeName", "targetRef"):
        if address.get(name):
            entry[name] = address[name]
    return entry


def _group(family: str, ports: Sequence[Obj]) -> tuple[str, str]:
    return family, json.dumps(sorted(ports, key=lambda p: json.dumps(p, sort_keys=True)))


def _slice(
    endpoints: Obj, family: str, ports: list[Obj], entries: list[Obj], existing: Obj | None
) -> Obj:
    kept = metadata(existing) if existing is not None else None
    described: Obj = dict(kept) if kept is not None else {}
    if existing is None:
        described["generateName"] = name_prefix(name_of(endpoints))
        described["namespace"] = namespace_of(endpoints)
        described["ownerReferences"] = [controlled_by(endpoints, "Endpoints")]
    described["labels"] = {
        **labels_of(endpoints),
        SERVICE_NAME: name_of(endpoints),
        MANAGED_BY: CONTROLLER,
    }
    described["annotations"] = offered.copied_annotations(endpoints)
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": described,
        "addressType": family,
        "endpoints": entries,
        "ports": ports,
    }


def _says(found: Obj) -> tuple[object, ...]:
    """What matters of a slice, to compare."""
    return (
        found.get("endpoints") or [],
        labels_of(found),
        dict(annotations_of(found)),
        found.get("ports") or [],
    )


class EndpointSliceMirroringController(KeyedController):
    name = "endpoint-slice-mirroring-controller"

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._client = context.client_for("endpointslicemirroring-controller")
        self._endpoints = context.informers.of(ENDPOINTS)
        self._services = context.informers.of(SERVICES)
        self._endpoints.on_change(self.enqueue)
        self._services.on_change(self.enqueue)
        slices = context.informers.of(ENDPOINT_SLICES)
        self._slices = ManagedSlices(self._client, slices, CONTROLLER, self.queue.add)

    async def reconcile(self, key: ObjectKey) -> float | None:
        endpoints, service = self._endpoints.get(key), self._services.get(key)
        wanted = endpoints is not None and is_mirrored(endpoints)
        if endpoints is None or service is None or not wanted or at(service, "spec", "selector"):
            await self._slices.remove(key)
            return None
        await self._slices.apply(key, plan(endpoints, self._slices.of(key)))
        return None
