"""Which pods belong together with a pod: those of its Services and of its owner.

They are spread by default. Upstream: pkg/scheduler/framework/plugins/helper/spread.go.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from tiphys.api.labels import EVERYTHING, NOTHING, Selector, from_object, from_set
from tiphys.api.meta import (
    GroupVersionResource,
    Obj,
    ObjectKey,
    at,
    controller_of,
    labels_of,
    namespace_of,
)
from tiphys.client.informer import Informer
from tiphys.client.rest import Client
from tiphys.lib.tasks import TaskSet, keep_running

log = logging.getLogger(__name__)

LIST_SECONDS_MAX: Final = 5.0  # Spreading is a wish: no pod waits longer to have it.
SERVICES: Final = GroupVersionResource("", "v1", "services")
OWNERS: Final = {
    "ReplicationController": GroupVersionResource("", "v1", "replicationcontrollers"),
    "ReplicaSet": GroupVersionResource("apps", "v1", "replicasets"),
    "StatefulSet": GroupVersionResource("apps", "v1", "statefulsets"),
}


def siblings(pod: Obj, services: Sequence[Obj], owner: Obj | None) -> Selector:
    """What all of them select by, together; EVERYTHING where nobody does."""
    labels = labels_of(pod)
    found = [
        selector
        for service in services
        if namespace_of(service) == namespace_of(pod)
        and (given := at(service, "spec", "selector"))
        and (selector := from_set(given)).matches(labels)
    ]
    if owner is not None:
        given = at(owner, "spec", "selector")
        is_set = owner.get("kind") == "ReplicationController"
        found.append(from_set(given) if is_set else from_object(given))
    if not found or NOTHING in found:
        return EVERYTHING
    return Selector(tuple(dict.fromkeys(r for s in found for r in s.requirements)))


class Siblings:
    """Live copies of Services and owners, each from the first pod on that needs it."""

    def __init__(self, client: Client, tasks: TaskSet) -> None:
        self._client = client
        self._tasks = tasks
        self._live: dict[GroupVersionResource, Informer] = {}

    async def of(self, pod: Obj) -> Selector:
        """EVERYTHING for a pod that says itself how it is to be spread."""
        if at(pod, "spec", "topologySpreadConstraints"):
            return EVERYTHING
        owner = None
        reference = controller_of(pod) or {}
        gvr = OWNERS.get(reference.get("kind", ""))
        try:
            async with asyncio.timeout(LIST_SECONDS_MAX):
                services = await self._informer(SERVICES)
                if gvr is not None:
                    owners = await self._informer(gvr)
                    owner = owners.get(ObjectKey(namespace_of(pod), reference["name"]))
        except TimeoutError:
            log.info("services and owners not listed yet, the pod is not spread")
            return EVERYTHING
        named = None if owner is None else {**owner, "kind": reference["kind"]}
        return siblings(pod, services.items(), named)

    async def _informer(self, gvr: GroupVersionResource) -> Informer:
        informer = self._live.get(gvr)
        if informer is None:
            informer = self._live[gvr] = Informer(self._client, gvr)
            name = f"informer {gvr.resource}"
            self._tasks.start(keep_running(name, informer.run), name)
        await informer.synced()
        return informer
