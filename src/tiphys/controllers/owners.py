"""Owned objects: which are ours, which to adopt, which to let go.

Upstream: pkg/controller/controller_ref_manager.go.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from tiphys.api import labels
from tiphys.api.errors import NotFound
from tiphys.api.meta import (
    GroupVersionResource,
    Obj,
    ObjectKey,
    at,
    controller_of,
    is_terminating,
    labels_of,
    metadata,
    name_of,
    namespace_of,
    uid_of,
)
from tiphys.client.informer import Informer
from tiphys.client.rest import Client


@dataclass(slots=True)
class Claims:
    """kept and adopt are what the owner has after the sync."""

    kept: list[Obj] = field(default_factory=list)
    adopt: list[Obj] = field(default_factory=list)
    release: list[Obj] = field(default_factory=list)


def claim(owner: Obj, selector: Obj | None, candidates: Iterable[Obj]) -> Claims:
    """Decide for each candidate of the owner's namespace."""
    matches = labels.from_object(selector).matches
    claims = Claims()
    for candidate in candidates:
        reference = controller_of(candidate)
        if reference is not None and reference.get("uid") != uid_of(owner):
            continue
        matching = matches(labels_of(candidate))
        if reference is not None:
            if matching or is_terminating(owner):
                claims.kept.append(candidate)
            else:
                claims.release.append(candidate)
        elif matching and not is_terminating(owner) and not is_terminating(candidate):
            claims.adopt.append(candidate)
    return claims


def selector_of(owner: Obj) -> Obj | None:
    """spec.selector as a LabelSelector; a ReplicationController's is a plain map of labels."""
    found: Obj | None = at(owner, "spec", "selector")
    if owner.get("kind") == "ReplicationController":
        return {"matchLabels": found} if found else None
    return found


def owner_reference(owner: Obj) -> Obj:
    """The controller reference to an owner."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": name_of(owner),
        "uid": uid_of(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


async def adopt(client: Client, gvr: GroupVersionResource, owner: Obj, obj: Obj) -> Obj:
    """Become the controller of an orphan. Raises ApiError."""
    patch = {"metadata": {"uid": uid_of(obj), "ownerReferences": [owner_reference(owner)]}}
    return await client.patch(gvr, name_of(obj), patch, namespace_of(obj))


async def release(client: Client, gvr: GroupVersionResource, owner: Obj, obj: Obj) -> None:
    """Stop being the controller of an object that no longer matches. Raises ApiError."""
    reference = {"$patch": "delete", "uid": uid_of(owner)}
    patch = {"metadata": {"uid": uid_of(obj), "ownerReferences": [reference]}}
    await client.patch(gvr, name_of(obj), patch, namespace_of(obj))


async def claimed(
    client: Client,
    gvr: GroupVersionResource,
    owner: Obj,
    index: "Index",
    *,
    may_own: Callable[[Obj], bool] = lambda obj: True,
    may_adopt: Callable[[Obj], bool] = lambda obj: True,
) -> list[Obj]:
    """The owner's objects, orphans adopted and misfits let go. Raises ApiError.

    may_own: objects that are not the owner's business whatever their labels.
    """
    candidates = [*index.owned_by(uid_of(owner)), *index.orphans_in(namespace_of(owner))]
    claims = claim(owner, selector_of(owner), filter(may_own, candidates))
    mine = list(claims.kept)
    for orphan in claims.adopt:
        if may_adopt(orphan):
            with suppress(NotFound):
                mine.append(await adopt(client, gvr, owner, orphan))
    for misfit in claims.release:
        with suppress(NotFound):
            await release(client, gvr, owner, misfit)
    return mine


class Index:
    """Objects of an informer by (namespace, controller uid) and orphans by namespace."""

    def __init__(self, informer: Informer) -> None:
        self._owned: dict[str, dict[ObjectKey, Obj]] = {}
        self._orphans: dict[str, dict[ObjectKey, Obj]] = {}
        informer.on_change(self._changed)

    def owned_by(self, uid: str) -> list[Obj]:
        return list(self._owned.get(uid, {}).values())

    def orphans_in(self, namespace: str) -> list[Obj]:
        return list(self._orphans.get(namespace, {}).values())

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        if old is not None:
            self._bucket(old).pop(ObjectKey(namespace_of(old), name_of(old)), None)
        if new is not None:
            self._bucket(new)[ObjectKey(namespace_of(new), name_of(new))] = new

    def _bucket(self, obj: Obj) -> dict[ObjectKey, Obj]:
        reference = controller_of(obj)
        if reference is None:
            return self._orphans.setdefault(namespace_of(obj), {})
        return self._owned.setdefault(str(reference.get("uid")), {})


_INDEXES: WeakKeyDictionary[Informer, Index] = WeakKeyDictionary()


def index_of(informer: Informer) -> Index:
    """The one index of an informer: every controller of the process reads the same."""
    if (found := _INDEXES.get(informer)) is None:
        found = _INDEXES[informer] = Index(informer)
    return found


def created_at(obj: Obj) -> str:
    """Sortable: RFC 3339 in UTC."""
    return str(metadata(obj).get("creationTimestamp") or "")
