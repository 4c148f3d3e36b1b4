"""The graph of owners and dependents, whatever the order in which watches tell."""

from tiphys.api.meta import GroupVersionResource, Obj
from tiphys.controllers.ownership_graph import OwnershipGraph

SETS = GroupVersionResource("apps", "v1", "replicasets")
PODS = GroupVersionResource("", "v1", "pods")


def an_object(
    uid: str, *owners: str, finalizers: tuple[str, ...] = (), deleting: bool = False
) -> Obj:
    metadata: Obj = {"name": uid, "namespace": "default", "uid": uid}
    metadata["ownerReferences"] = [
        {"uid": o, "name": o, "kind": "ReplicaSet", "blockOwnerDeletion": True} for o in owners
    ]
    metadata["finalizers"] = list(finalizers)
    if deleting:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {"metadata": metadata}


def _dependents(graph: OwnershipGraph, uid: str) -> list[str]:
    return sorted(d.identity.uid for d in graph.dependents_of(uid))


def test_dependents_are_known_before_and_after_their_owner() -> None:
    graph = OwnershipGraph()
    graph.put(PODS, an_object("a", "rs"))
    assert _dependents(graph, "rs") == ["a"]
    graph.put(SETS, an_object("rs"))
    graph.put(PODS, an_object("b", "rs"))
    assert _dependents(graph, "rs") == ["a", "b"]
    graph.remove("rs")
    assert _dependents(graph, "rs") == ["a", "b"], "they wait for what becomes of them"


def test_an_object_that_changes_its_owner_moves() -> None:
    graph = OwnershipGraph()
    graph.put(SETS, an_object("one"))
    graph.put(SETS, an_object("two"))
    graph.put(PODS, an_object("a", "one"))
    graph.put(PODS, an_object("a", "two"))
    assert (_dependents(graph, "one"), _dependents(graph, "two")) == ([], ["a"])


def test_foreground_and_orphan_are_recognised_only_while_deleting() -> None:
    graph = OwnershipGraph()
    node = graph.put(SETS, an_object("rs", finalizers=("foregroundDeletion",)))
    assert not node.deletes_dependents
    node = graph.put(SETS, an_object("rs", finalizers=("foregroundDeletion",), deleting=True))
    assert node.deletes_dependents
    node = graph.put(SETS, an_object("rs", finalizers=("orphan",), deleting=True))
    assert node.orphans_dependents
