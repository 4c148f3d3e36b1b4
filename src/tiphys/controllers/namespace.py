"""Namespace controller: empties a namespace that is being deleted, then lets it go.

Upstream: pkg/controller/namespace/deletion/namespaced_resources_deleter.go.
Reads Namespace and, by discovery, everything in it. Writes: deletes all of it, Namespace/status,
Namespace/finalize. Pods go first (ordered deletion, KEP-5080), then the rest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tiphys.api.errors import ApiError, NotFound
from tiphys.api.meta import (
    GroupVersionResource,
    Obj,
    ObjectKey,
    at,
    is_terminating,
    metadata,
    name_of,
    rfc3339,
)
from tiphys.client.controller import Context, KeyedController
from tiphys.client.rest import Client, path_of
from tiphys.controllers.kinds import NAMESPACES, PODS

FINALIZER: Final = "kubernetes"
AGAIN_SECONDS: Final = 1.0
_MESSAGES: Final = {
    "NamespaceDeletionDiscoveryFailure": (
        "ResourcesDiscovered",
        "All resources successfully discovered",
        "DiscoveryFailed",
    ),
    "NamespaceDeletionGroupVersionParsingFailure": (
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
        "GroupVersionParsingFailed",
    ),
    "NamespaceDeletionContentFailure": (
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
        "ContentDeletionFailed",
    ),
    "NamespaceContentRemaining": (
        "ContentRemoved",
        "All content successfully removed",
        "SomeResourcesRemain",
    ),
    "NamespaceFinalizersRemaining": (
        "ContentHasNoFinalizers",
        "All content-preserving finalizers finished",
        "SomeFinalizersRemain",
    ),
}


@dataclass(slots=True)
class Remaining:
    """What is still in the namespace: counts by resource and by finalizer, and what failed."""

    resources: dict[str, int] = field(default_factory=dict)
    finalizers: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    discovery_failure: str = ""


def conditions_of(remaining: Remaining, existing: Sequence[Obj], now: str) -> list[Obj]:
    """The five conditions of a terminating namespace. Source: status_condition_utils.go."""
    problems: dict[str, str] = {}
    if remaining.discovery_failure:
        problems["NamespaceDeletionDiscoveryFailure"] = remaining.discovery_failure
    if remaining.failures:
        problems["NamespaceDeletionContentFailure"] = (
            "Failed to delete all resource types, "
            f"{len(remaining.failures)} remaining: {', '.join(sorted(remaining.failures))}"
        )
    if remaining.resources:
        parts = [f"{k} has {v} resource instances" for k, v in sorted(remaining.resources.items())]
        problems["NamespaceContentRemaining"] = f"Some resources are remaining: {', '.join(parts)}"
    if remaining.finalizers:
        parts = [f"{k} in {v} resource instances" for k, v in sorted(remaining.finalizers.items())]
        problems["NamespaceFinalizersRemaining"] = (
            f"Some content in the namespace has finalizers remaining: {', '.join(parts)}"
        )
    return [_condition(kind, problems.get(kind), existing, now) for kind in _MESSAGES]


def _condition(kind: str, problem: str | None, existing: Sequence[Obj], now: str) -> Obj:
    good_reason, good, bad_reason = _MESSAGES[kind]
    status = "True" if problem else "False"
    old = next((c for c in existing if c["type"] == kind), None)
    same = old is not None and old["status"] == status
    return {
        "type": kind,
        "status": status,
        "lastTransitionTime": old["lastTransitionTime"] if same and old else now,
        "reason": bad_reason if problem else good_reason,
        "message": problem or good,
    }


class NamespaceController(KeyedController):
    name = "namespace-controller"

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._client = context.client_for("namespace-controller")
        self._clock = context.clock
        self._namespaces = context.informers.of(NAMESPACES)
        self._namespaces.on_change(self._changed)

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is not None and is_terminating(new):
            self.queue.add(ObjectKey("", name_of(new)))

    async def reconcile(self, key: ObjectKey) -> float | None:
        namespace = self._namespaces.get(key)
        if namespace is None or not is_terminating(namespace):
            return None
        if FINALIZER not in at(namespace, "spec", "finalizers", default=[]):
            return None
        remaining = await self._empty(key.name)
        done = not (remaining.resources or remaining.failures or remaining.discovery_failure)
        namespace = await self._write_status(namespace, remaining)
        if not done:
            return AGAIN_SECONDS
        await self._finalize(namespace)
        return None

    async def _empty(self, namespace: str) -> Remaining:
        """Delete everything once; pods before the rest."""
        remaining = Remaining()
        try:
            resources = await deletable_resources(self._client)
        except ApiError as exc:
            remaining.discovery_failure = exc.message
            return remaining
        await self._delete_all(PODS, namespace, remaining)
        if remaining.resources.get("pods."):
            return remaining
        for gvr in resources:
            if gvr != PODS:
                await self._delete_all(gvr, namespace, remaining)
        return remaining

    async def _delete_all(
        self, gvr: GroupVersionResource, namespace: str, remaining: Remaining
    ) -> None:
        path = path_of(gvr, namespace)
        try:
            listed = await self._client.request("GET", path, query={"limit": 500})
            if not listed.get("items"):
                return
            options = {
                "apiVersion": "v1",
                "kind": "DeleteOptions",
                "propagationPolicy": "Background",
            }
            await self._client.request("DELETE", path, options)
            listed = await self._client.request("GET", path, query={"limit": 500})
        except NotFound:
            return
        except ApiError as exc:
            remaining.failures.append(f"{gvr.resource}.{gvr.group}: {exc.message}")
            return
        items = listed.get("items") or []
        if items:
            remaining.resources[f"{gvr.resource}.{gvr.group}"] = len(items)
        for item in items:
            for finalizer in metadata(item).get("finalizers") or []:
                remaining.finalizers[finalizer] = remaining.finalizers.get(finalizer, 0) + 1

    async def _write_status(self, namespace: Obj, remaining: Remaining) -> Obj:
        existing = at(namespace, "status", "conditions", default=[])
        wanted = {
            **(namespace.get("status") or {}),
            "phase": "Terminating",
            "conditions": conditions_of(remaining, existing, rfc3339(self._clock.now())),
        }
        if wanted == namespace.get("status"):
            return namespace
        return await self._client.update(
            NAMESPACES, {**namespace, "status": wanted}, subresource="status"
        )

    async def _finalize(self, namespace: Obj) -> None:
        finalizers = [f for f in at(namespace, "spec", "finalizers", default=[]) if f != FINALIZER]
        changed = {**namespace, "spec": {**namespace["spec"], "finalizers": finalizers}}
        try:
            await self._client.update(NAMESPACES, changed, subresource="finalize")
        except NotFound:
            return


async def deletable_resources(
    client: Client, *, namespaced: bool = True
) -> list[GroupVersionResource]:
    """Every resource in its preferred version that can be listed and deleted.

    namespaced=False gives the cluster-scoped ones too. Raises ApiError.
    """
    found: list[GroupVersionResource] = []
    documents: list[tuple[str, str]] = [("", "v1")]
    groups = await client.request("GET", "/apis")
    documents += [(g["name"], g["preferredVersion"]["version"]) for g in groups.get("groups") or []]
    for group, version in documents:
        path = f"/apis/{group}/{version}" if group else f"/api/{version}"
        try:
            listed = await client.request("GET", path)
        except NotFound:
            continue
        found += [
            GroupVersionResource(group, version, resource["name"])
            for resource in listed.get("resources") or []
            if _is_deletable(resource) and (resource["namespaced"] or not namespaced)
        ]
    return found


def _is_deletable(resource: Mapping[str, object]) -> bool:
    verbs = resource.get("verbs") or []
    return (
        "/" not in str(resource["name"])
        and isinstance(verbs, list)
        and {"list", "delete"} <= set(verbs)
    )
