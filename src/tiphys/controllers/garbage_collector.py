"""Garbage collector: what an owner leaves behind is deleted, waited for, or let free.

Upstream: pkg/controller/garbagecollector/garbagecollector.go.
Reads the metadata of every deletable resource. Deletes dependents, patches owner references and
the finalizers `foregroundDeletion` and `orphan`.
"""

import functools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tiphys.api.errors import ApiError, Conflict, NotFound
from tiphys.api.meta import GroupVersionResource, Obj, is_terminating, metadata, uid_of
from tiphys.client.controller import Context, run_workers
from tiphys.client.informer import METADATA_ONLY, Informer
from tiphys.client.rest import path_of
from tiphys.controllers.namespace import deletable_resources
from tiphys.controllers.ownership_graph import FOREGROUND, ORPHAN, Identity, Node, OwnershipGraph
from tiphys.lib.tasks import TaskSet
from tiphys.lib.workqueue import WorkQueue

log = logging.getLogger(__name__)

SYNC_SECONDS: Final = 30.0  # How often discovery is read for new resources; upstream the same.
WORKERS: Final = 20  # --concurrent-gc-syncs
# Resources whose objects never own nor are owned. Source: DefaultIgnoredResources.
IGNORED: Final = frozenset({("", "events"), ("events.k8s.io", "events")})


@dataclass(frozen=True, slots=True)
class Owners:
    """An object's owner references by what became of the owner."""

    solid: tuple[Obj, ...]
    dangling: tuple[Obj, ...]
    waiting: tuple[Obj, ...]  # owners in foreground deletion


def deletion_policy(obj: Obj) -> str:
    """How to delete a dependent. Source: attemptToDeleteItem."""
    finalizers = metadata(obj).get("finalizers") or []
    if ORPHAN in finalizers:
        return "Orphan"
    return "Foreground" if FOREGROUND in finalizers else "Background"


def without_owners(obj: Obj, uids: Sequence[str]) -> Obj:
    """A merge patch that removes owner references; the version guards against races."""
    left = [r for r in metadata(obj).get("ownerReferences") or [] if r["uid"] not in uids]
    version = metadata(obj).get("resourceVersion")
    return {"metadata": {"ownerReferences": left, "resourceVersion": version, "uid": uid_of(obj)}}


def without_finalizer(obj: Obj, finalizer: str) -> Obj:
    left = [f for f in metadata(obj).get("finalizers") or [] if f != finalizer]
    version = metadata(obj).get("resourceVersion")
    return {"metadata": {"finalizers": left, "resourceVersion": version, "uid": uid_of(obj)}}


class GarbageCollector:
    name = "garbage-collector-controller"

    def __init__(self, context: Context) -> None:
        self._client = context.client_for("generic-garbage-collector")
        self._clock = context.clock
        self._recorder = context.recorder(self.name)
        self._graph = OwnershipGraph()
        self.queue: WorkQueue[str] = WorkQueue()
        self._tasks = TaskSet()
        self._monitors: dict[GroupVersionResource, Informer] = {}
        self._kinds: dict[tuple[str, str], tuple[GroupVersionResource, bool]] = {}

    async def run(self) -> None:
        try:
            self._tasks.start(self._keep_monitors(), "gc monitors")
            await run_workers(self.name, self.queue, self._reconcile, WORKERS)
        finally:
            await self._tasks.close()

    async def _keep_monitors(self) -> None:
        """Watch every deletable resource, those that appear later too."""
        while True:
            try:
                await self._sync_monitors()
            except ApiError as exc:
                log.info("discovery failed, trying again", extra={"why": exc.message})
                await self._clock.sleep(1.0)
                continue
            await self._clock.sleep(SYNC_SECONDS)

    async def _sync_monitors(self) -> None:
        found = await deletable_resources(self._client, namespaced=False)
        for gvr in found:
            if gvr in self._monitors or (gvr.group, gvr.resource) in IGNORED:
                continue
            informer = Informer(self._client, gvr, metadata_only=True)
            self._monitors[gvr] = informer
            informer.on_change(functools.partial(self._changed, gvr))
            self._tasks.start(informer.run(), f"gc {gvr.resource}")

    def _changed(self, gvr: GroupVersionResource, old: Obj | None, new: Obj | None) -> None:
        if new is None:
            assert old is not None
            self._gone(uid_of(old))
            return
        if old is not None and uid_of(old) != uid_of(new):
            self._gone(uid_of(old))
        node = self._graph.put(gvr, new)
        if node.orphans_dependents or node.deletes_dependents:
            self.queue.add(node.identity.uid)
        if node.deletes_dependents:
            for dependent in self._graph.dependents_of(node.identity.uid):
                self.queue.add(dependent.identity.uid)
        if node.owners and not all(self._is_plausible(node, owner) for owner in node.owners):
            # Perhaps the owner's own watch is only later; the worker asks the server.
            self.queue.add(node.identity.uid)
        elif any((o := self._graph.get(u)) and o.deletes_dependents for u in node.owners):
            self.queue.add(node.identity.uid)

    def _is_plausible(self, node: Node, owner_uid: str) -> bool:
        """Whether the graph shows the owner where it may be: cluster-wide or beside the object."""
        owner = self._graph.get(owner_uid)
        return owner is not None and owner.identity.namespace in ("", node.identity.namespace)

    def _gone(self, uid: str) -> None:
        node = self._graph.remove(uid)
        for dependent in self._graph.dependents_of(uid):
            self.queue.add(dependent.identity.uid)
        if node is None:
            return
        for owner in node.owners:
            found = self._graph.get(owner)
            if found is not None and found.deletes_dependents:
                self.queue.add(owner)

    async def _reconcile(self, uid: str) -> float | None:
        node = self._graph.get(uid)
        if node is None:
            return None
        try:
            obj = await self._get(node.identity)
        except NotFound:
            self._gone(uid)
            return None
        if uid_of(obj) != uid:
            self._gone(uid)
            return None
        node = self._graph.put(node.identity.gvr, obj)
        if node.orphans_dependents:
            return await self._orphan_dependents(node, obj)
        if node.deletes_dependents:
            return await self._wait_for_dependents(node, obj)
        if is_terminating(obj) or not node.owners:
            return None
        return await self._collect(node, obj)

    async def _collect(self, node: Node, obj: Obj) -> float | None:
        """Delete an object all of whose owners are gone or going."""
        owners = await self._classified(obj)
        if owners.solid:
            useless = [r["uid"] for r in (*owners.dangling, *owners.waiting)]
            if useless:
                await self._patch(node.identity, without_owners(obj, useless))
            return None
        if not owners.dangling and not owners.waiting:
            return None
        policy = deletion_policy(obj)
        if owners.waiting and any(self._graph.dependents_of(node.identity.uid)):
            policy = "Foreground"
        await self._delete(node.identity, policy, obj)
        return None

    async def _classified(self, obj: Obj) -> Owners:
        solid: list[Obj] = []
        dangling: list[Obj] = []
        waiting: list[Obj] = []
        for reference in metadata(obj).get("ownerReferences") or []:
            owner = await self._owner(reference, obj)
            if owner is None:
                dangling.append(reference)
            elif owner is True or not owner:
                solid.append(reference)
            elif reference.get("blockOwnerDeletion") and _is_foreground(owner):
                waiting.append(reference)
            else:
                solid.append(reference)
        return Owners(tuple(solid), tuple(dangling), tuple(waiting))

    async def _owner(self, reference: Obj, obj: Obj) -> Obj | bool | None:
        """The owner as the server has it; None when it is gone; True when nobody can tell."""
        found = await self._resource_of(reference)
        if found is None:
            return True  # An unknown kind may come back with its definition.
        gvr, namespaced = found
        namespace = str(metadata(obj).get("namespace", "")) if namespaced else ""
        if namespaced and not namespace:
            self._say_invalid_namespace(reference, obj)
            return True
        try:
            path = path_of(gvr, namespace, reference["name"])
            owner = await self._client.request("GET", path, headers={"Accept": METADATA_ONLY})
            if uid_of(owner) == reference["uid"]:
                return owner
        except NotFound:
            pass
        elsewhere = self._graph.get(str(reference["uid"]))
        if elsewhere is not None and elsewhere.identity.namespace != namespace:
            self._say_invalid_namespace(reference, obj)
        return None

    def _say_invalid_namespace(self, reference: Obj, obj: Obj) -> None:
        """An owner in another namespace is no owner: namespaces are walls."""
        namespace = str(metadata(obj).get("namespace", ""))
        text = (
            f"ownerRef [{reference['apiVersion']}/{reference['kind']}, namespace: {namespace}, "
            f"name: {reference['name']}, uid: {reference['uid']}] does not exist in namespace "
            f'"{namespace}"'
        )
        self._recorder.event(obj, "Warning", "OwnerRefInvalidNamespace", text)

    async def _resource_of(self, reference: Obj) -> tuple[GroupVersionResource, bool] | None:
        api_version, kind = str(reference["apiVersion"]), str(reference["kind"])
        known = self._kinds.get((api_version, kind))
        if known is not None:
            return known
        group, _, version = api_version.rpartition("/")
        path = f"/apis/{group}/{version}" if group else f"/api/{version}"
        try:
            listed = await self._client.request("GET", path)
        except NotFound:
            return None
        for resource in listed.get("resources") or []:
            if "/" not in resource["name"]:
                gvr = GroupVersionResource(group, version, resource["name"])
                entry = (gvr, bool(resource["namespaced"]))
                self._kinds[(api_version, resource["kind"])] = entry
        return self._kinds.get((api_version, kind))

    async def _wait_for_dependents(self, node: Node, obj: Obj) -> float | None:
        """Foreground: when nobody blocks any more, the finalizer goes and the object with it."""
        uid = node.identity.uid
        blocking = [d for d in self._graph.dependents_of(uid) if uid in d.blocking]
        if not blocking:
            await self._patch(node.identity, without_finalizer(obj, FOREGROUND))
            return None
        for dependent in blocking:
            if not dependent.deleting:
                self.queue.add(dependent.identity.uid)
        return None

    async def _orphan_dependents(self, node: Node, obj: Obj) -> float | None:
        uid = node.identity.uid
        for dependent in list(self._graph.dependents_of(uid)):
            try:
                found = await self._get(dependent.identity)
                await self._patch(dependent.identity, without_owners(found, [uid]))
            except NotFound:
                continue
        await self._patch(node.identity, without_finalizer(obj, ORPHAN))
        return None

    async def _get(self, identity: Identity) -> Obj:
        path = path_of(identity.gvr, identity.namespace, identity.name)
        return await self._client.request("GET", path, headers={"Accept": METADATA_ONLY})

    async def _patch(self, identity: Identity, patch: Mapping[str, Any]) -> None:
        try:
            await self._client.patch(
                identity.gvr, identity.name, patch, identity.namespace, kind="merge"
            )
        except NotFound:
            return

    async def _delete(self, identity: Identity, policy: str, obj: Obj) -> None:
        try:
            await self._client.delete(
                identity.gvr,
                identity.name,
                identity.namespace,
                propagation=policy,
                uid=identity.uid,
                resource_version=str(metadata(obj).get("resourceVersion", "")),
            )
        except NotFound:
            return
        except Conflict:
            self.queue.add_failed(identity.uid)


def _is_foreground(owner: Obj | bool) -> bool:
    return (
        isinstance(owner, dict)
        and is_terminating(owner)
        and FOREGROUND in (metadata(owner).get("finalizers") or [])
    )
