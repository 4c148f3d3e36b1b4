"""The graph of owners and dependents, as far as watches have told. Pure bookkeeping.

Upstream: pkg/controller/garbagecollector/graph.go, graph_builder.go.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tiphys.api.meta import GroupVersionResource, Obj, metadata, name_of, namespace_of, uid_of

FOREGROUND: Final = "foregroundDeletion"
ORPHAN: Final = "orphan"


class Identity(NamedTuple):
    gvr: GroupVersionResource
    namespace: str
    name: str
    uid: str


@dataclass(slots=True)
class Node:
    """What the collector knows of an object."""

    identity: Identity
    owners: tuple[str, ...] = ()  # uids
    blocking: frozenset[str] = frozenset()  # uids of owners that must wait for this object
    deleting: bool = False
    finalizers: frozenset[str] = frozenset()
    dependents: set[str] = field(default_factory=set)

    @property
    def deletes_dependents(self) -> bool:
        """In foreground deletion: waits for its dependents."""
        return self.deleting and FOREGROUND in self.finalizers

    @property
    def orphans_dependents(self) -> bool:
        return self.deleting and ORPHAN in self.finalizers


class OwnershipGraph:
    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        # Dependents of owners that no watch has shown (yet).
        self._waiting: dict[str, set[str]] = {}

    def get(self, uid: str) -> Node | None:
        return self._nodes.get(uid)

    def __contains__(self, uid: str) -> bool:
        return uid in self._nodes

    def __len__(self) -> int:
        return len(self._nodes)

    def dependents_of(self, uid: str) -> Iterator[Node]:
        node = self._nodes.get(uid)
        uids = node.dependents if node is not None else self._waiting.get(uid, set())
        for dependent in list(uids):
            if (found := self._nodes.get(dependent)) is not None:
                yield found

    def put(self, gvr: GroupVersionResource, obj: Obj) -> Node:
        """Note an object as it is now."""
        uid = uid_of(obj)
        references = metadata(obj).get("ownerReferences") or []
        node = self._nodes.get(uid)
        if node is None:
            identity = Identity(gvr, namespace_of(obj), name_of(obj), uid)
            node = Node(identity, dependents=self._waiting.pop(uid, set()))
            self._nodes[uid] = node
        owners = tuple(str(r["uid"]) for r in references)
        for gone in set(node.owners) - set(owners):
            self._unlink(gone, uid)
        for added in set(owners) - set(node.owners):
            self._link(added, uid)
        node.owners = owners
        node.blocking = frozenset(str(r["uid"]) for r in references if r.get("blockOwnerDeletion"))
        node.deleting = bool(metadata(obj).get("deletionTimestamp"))
        node.finalizers = frozenset(metadata(obj).get("finalizers") or [])
        return node

    def remove(self, uid: str) -> Node | None:
        """Forget an object; its dependents are remembered as waiting for it."""
        node = self._nodes.pop(uid, None)
        if node is None:
            return None
        for owner in node.owners:
            self._unlink(owner, uid)
        if node.dependents:
            self._waiting[uid] = node.dependents
        return node

    def _link(self, owner: str, dependent: str) -> None:
        node = self._nodes.get(owner)
        if node is not None:
            node.dependents.add(dependent)
        else:
            self._waiting.setdefault(owner, set()).add(dependent)

    def _unlink(self, owner: str, dependent: str) -> None:
        node = self._nodes.get(owner)
        found = node.dependents if node is not None else self._waiting.get(owner)
        if found is not None:
            found.discard(dependent)
            if not found and node is None:
                self._waiting.pop(owner, None)
