"""ControllerRevisions: the past templates of DaemonSets and StatefulSets.

`kubectl rollout history` and `undo` read them: a revision's data is the patch that brings its
template back. Upstream: pkg/controller/history/controller_history.go, daemon/update.go.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tiphys.api.errors import AlreadyExists, NotFound
from tiphys.api.meta import GroupVersionResource, Obj, annotations_of, at, name_of, namespace_of
from tiphys.client.rest import Client
from tiphys.controllers import owners
from tiphys.controllers.hashing import template_hash
from tiphys.controllers.kinds import CONTROLLER_REVISIONS

PARENT_NAME_MAX: Final = 223  # ControllerRevisionName cuts longer ones.


@dataclass(frozen=True, slots=True)
class History:
    """old is sorted by revision, the oldest first."""

    current: Obj
    old: tuple[Obj, ...]


def data_of(owner: Obj) -> Obj:
    """The patch that restores the owner's present template."""
    template = copy.deepcopy(owner["spec"]["template"])
    return {"spec": {"template": template | {"$patch": "replace"}}}


def number_of(revision: Obj) -> int:
    return int(revision.get("revision") or 0)


def in_order(revisions: Sequence[Obj]) -> list[Obj]:
    return sorted(revisions, key=lambda r: (number_of(r), owners.created_at(r), name_of(r)))


def split(owner: Obj, revisions: Sequence[Obj]) -> tuple[list[Obj], list[Obj]]:
    """(those with the owner's present template, the others), each in order."""
    wanted = data_of(owner)
    same = [r for r in revisions if r.get("data") == wanted]
    return in_order(same), in_order([r for r in revisions if r.get("data") != wanted])


def next_number(revisions: Sequence[Obj]) -> int:
    return max((number_of(r) for r in revisions), default=0) + 1


def new_revision(owner: Obj, number: int, hash_label: str, collisions: int) -> Obj:
    """The revision of the owner's present template."""
    template = owner["spec"]["template"]
    value = template_hash(template, collisions)
    labels = at(template, "metadata", "labels", default={})
    metadata: Obj = {
        "name": f"{name_of(owner)[:PARENT_NAME_MAX]}-{value}",
        "namespace": namespace_of(owner),
        "labels": {**labels, hash_label: value},
        "ownerReferences": [owners.owner_reference(owner)],
    }
    if notes := annotations_of(owner):
        metadata["annotations"] = notes
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": metadata,
        "data": data_of(owner),
        "revision": number,
    }


def to_clean_up(owner: Obj, old: Sequence[Obj], live: set[str]) -> list[Obj]:
    """Old revisions beyond the limit, the oldest first; those with live names stay and count."""
    limit = int(at(owner, "spec", "revisionHistoryLimit", default=10))
    idle = [r for r in in_order(old) if name_of(r) not in live]
    return idle[: max(len(old) - limit, 0)]


async def note_current(
    client: Client,
    gvr: GroupVersionResource,
    owner: Obj,
    revisions: Sequence[Obj],
    hash_label: str,
) -> History:
    """Make or renumber the revision of the present template. Raises ApiError.

    gvr: the owner's, whose status counts collisions of names.
    """
    same, old = split(owner, revisions)
    number = next_number(old)
    if not same:
        return History(await _create(client, gvr, owner, number, hash_label), tuple(old))
    current = same[-1]
    if number_of(current) < number:
        changed = {**current, "revision": number}
        current = await client.update(CONTROLLER_REVISIONS, changed)
    return History(current, (*same[:-1], *old))


async def _create(
    client: Client, gvr: GroupVersionResource, owner: Obj, number: int, hash_label: str
) -> Obj:
    collisions = int(at(owner, "status", "collisionCount", default=0))
    wanted = new_revision(owner, number, hash_label, collisions)
    try:
        return await client.create(CONTROLLER_REVISIONS, wanted)
    except AlreadyExists:
        where = (name_of(wanted), namespace_of(wanted))
        existing = await client.get(CONTROLLER_REVISIONS, *where)
        if existing.get("data") == wanted["data"]:
            return existing  # Our own write of a moment ago.
        status = {**(owner.get("status") or {}), "collisionCount": collisions + 1}
        await client.update(gvr, {**owner, "status": status}, subresource="status")
        raise


async def clean_up(client: Client, surplus: Sequence[Obj]) -> None:
    """Delete revisions. Raises ApiError."""
    for revision in surplus:
        try:
            await client.delete(CONTROLLER_REVISIONS, name_of(revision), namespace_of(revision))
        except NotFound:
            continue
