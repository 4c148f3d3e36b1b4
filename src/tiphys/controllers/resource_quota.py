"""ResourceQuota controller: keeps what is used of each quota.

Upstream: pkg/controller/resourcequota/resource_quota_controller.go, resource_quota_monitor.go.
Reads ResourceQuota and, in namespaces that have one, the objects that it names. Writes
ResourceQuota/status. What an object counts is in api/quota_usage.py.
The API server counts what is made before it stores it (apiserver/admission/resource_quota.py). An
informer may know of that count and not yet of the object: a quota whose status changed a moment ago
is therefore left alone until things have settled, lest the count be taken back.
Differs: objects other than pods, services and claims are watched only where a quota counts them,
as metadata, so that a cluster without quotas pays nothing.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tiphys.api import quota_usage as usage
from tiphys.api.errors import NotFound, ServiceUnavailable
from tiphys.api.meta import GroupVersionResource, Obj, ObjectKey, at, key_of, namespace_of
from tiphys.client.controller import Context, KeyedController
from tiphys.client.informer import Informer
from tiphys.controllers.kinds import (
    PERSISTENT_VOLUME_CLAIMS,
    PODS,
    RESOURCE_QUOTAS,
    SERVICES,
)
from tiphys.controllers.pods_by_namespace import pods_by_namespace
from tiphys.lib.tasks import keep_running

LIST_SECONDS_MAX: Final = 10.0  # Then the quota is looked at again later.
SETTLE_SECONDS: Final = 0.5  # From the count of an object until all informers have the object.
RESYNC_SECONDS: Final = 300.0  # --resource-quota-sync-period
_WHOLE: Final = {(g.group, g.resource): g for g in (PODS, SERVICES, PERSISTENT_VOLUME_CLAIMS)}


def used(quota: Obj, totals: usage.Usage) -> dict[str, str]:
    """status.used: the totals of the names that the quota limits."""
    hard = at(quota, "spec", "hard", default={})
    return {name: str(totals.get(name, usage.NONE)) for name in hard}


@dataclass(slots=True)
class _Watched:
    """Objects of one namespace that a quota there counts."""

    informer: Informer
    task: "asyncio.Task[object]"


class ResourceQuotaController(KeyedController):
    name = "resourcequota-controller"

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._client = context.client_for("resourcequota-controller")
        self._clock = context.clock
        self._tasks = context.tasks
        self._quotas = context.informers.of(RESOURCE_QUOTAS)
        self._pods = pods_by_namespace(context.informers.of(PODS))
        self._services = context.informers.of(SERVICES)
        self._claims = context.informers.of(PERSISTENT_VOLUME_CLAIMS)
        self._watched: dict[tuple[str, str, str], _Watched] = {}  # (namespace, group, plural)
        self._versions: dict[tuple[str, str], GroupVersionResource] = {}
        self._counted_at: dict[ObjectKey, float] = {}  # When a status changed, monotonic.
        self._quotas.on_change(self._quota_changed)
        for gvr in _WHOLE.values():
            context.informers.of(gvr).on_change(self._object_changed)

    def _quota_changed(self, old: Obj | None, new: Obj | None) -> None:
        if old is None or new is None or old.get("spec") != new.get("spec"):
            self.enqueue(old, new)
        elif old.get("status") != new.get("status"):
            self._counted_at[key_of(new)] = self._clock.monotonic()
            self.queue.add_after(key_of(new), SETTLE_SECONDS)

    def _object_changed(self, old: Obj | None, new: Obj | None) -> None:
        obj = new or old
        assert obj is not None
        for quota in self._quotas.items():
            if namespace_of(quota) == namespace_of(obj):
                self.queue.add(key_of(quota))

    async def reconcile(self, key: ObjectKey) -> float | None:
        quota = self._quotas.get(key)
        self._forget_unneeded(key.namespace)
        if quota is None:
            self._counted_at.pop(key, None)
            return None
        settled_at = self._counted_at.get(key, -SETTLE_SECONDS) + SETTLE_SECONDS
        is_seen = at(quota, "status", "hard") == at(quota, "spec", "hard")
        if is_seen and (wait := settled_at - self._clock.monotonic()) > 0:
            return wait
        totals: usage.Usage = {}
        hard = at(quota, "spec", "hard", default={})
        now = self._clock.now()
        for group, plural in sorted({usage.resource_of(name) for name in hard}):
            for obj in await self._objects(key.namespace, group, plural):
                if usage.is_in_scopes(quota, obj, plural):
                    usage.add(totals, usage.object_usage(obj, group, plural, now))
        wanted = {"hard": hard, "used": used(quota, totals)}
        if wanted != quota.get("status"):
            changed = {**quota, "status": wanted}
            try:
                await self._client.update(RESOURCE_QUOTAS, changed, subresource="status")
            except NotFound:
                return None
        return RESYNC_SECONDS

    async def _objects(self, namespace: str, group: str, plural: str) -> Iterable[Obj]:
        """All of a resource in a namespace. Raises ApiError."""
        if (group, plural) == ("", "pods"):
            return self._pods.all(namespace)
        if (group, plural) in _WHOLE:
            informer = self._services if plural == "services" else self._claims
            return [o for o in informer.items() if namespace_of(o) == namespace]
        if (group, plural) == ("", "resourcequotas"):
            return [o for o in self._quotas.items() if namespace_of(o) == namespace]
        watched = self._watched.get((namespace, group, plural))
        if watched is None:
            watched = await self._watch(namespace, group, plural)
            if watched is None:
                return ()
        try:
            await asyncio.wait_for(watched.informer.synced(), LIST_SECONDS_MAX)
        except TimeoutError as exc:
            raise ServiceUnavailable(f"{plural} of namespace {namespace} not listed yet") from exc
        return watched.informer.items()

    async def _watch(self, namespace: str, group: str, plural: str) -> _Watched | None:
        """None where nobody serves the resource. Raises ApiError."""
        gvr = await self._served(group, plural)
        if gvr is None:
            return None
        informer = Informer(self._client, gvr, namespace=namespace, metadata_only=True)
        informer.on_change(self._object_changed)
        name = f"quota {namespace} {plural}"
        task = self._tasks.start(keep_running(name, informer.run), name)
        self._watched[namespace, group, plural] = watched = _Watched(informer, task)
        return watched

    async def _served(self, group: str, plural: str) -> GroupVersionResource | None:
        """The resource in the version that its group prefers; what is found is remembered."""
        if (known := self._versions.get((group, plural))) is not None:
            return known
        version = "v1"
        try:
            if group:
                found = await self._client.request("GET", f"/apis/{group}")
                version = found["preferredVersion"]["version"]
            gvr = GroupVersionResource(group, version, plural)
            listed = await self._client.request("GET", gvr.path)
        except NotFound:
            return None
        if all(r["name"] != plural for r in listed.get("resources") or []):
            return None
        self._versions[group, plural] = gvr
        return gvr

    def _forget_unneeded(self, namespace: str) -> None:
        """End the watches that no quota of the namespace needs any more."""
        needed = {
            usage.resource_of(name)
            for quota in self._quotas.items()
            if namespace_of(quota) == namespace
            for name in at(quota, "spec", "hard", default={})
        }
        for key in [k for k in self._watched if k[0] == namespace and k[1:] not in needed]:
            self._watched.pop(key).task.cancel()
