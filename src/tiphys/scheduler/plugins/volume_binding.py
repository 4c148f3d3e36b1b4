"""VolumeBinding: a pod goes where its volumes are, or can be.

Upstream: pkg/scheduler/framework/plugins/volumebinding/volume_binding.go, binder.go.
Differs: the binder, not the scheduler, notes the chosen node (docs/differences.md).
"""

from collections.abc import Collection
from typing import Final

from tiphys.api import volume_matching as matching
from tiphys.api.meta import at, is_terminating
from tiphys.api.node_selector import matches_selector
from tiphys.scheduler.framework import (
    CLAIM_CHANGE,
    CLASS_CHANGE,
    NODE_ADD,
    NODE_LABEL,
    VOLUME_CHANGE,
    ClaimFacts,
    NodeInfo,
    PodInfo,
    Snapshot,
    Verdict,
    unresolvable,
)

NAME: Final = "VolumeBinding"
RETRY_ON: Final = frozenset({CLAIM_CHANGE, VOLUME_CHANGE, CLASS_CHANGE, NODE_ADD, NODE_LABEL})
UNBOUND: Final = "pod has unbound immediate PersistentVolumeClaims"
NODE_CONFLICT: Final = "node(s) didn't match PersistentVolume's node affinity"
NOTHING_TO_BIND: Final = "node(s) didn't find available persistent volumes to bind"
NO_VOLUME: Final = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
NO_PROVISIONER: Final = "kubernetes.io/no-provisioner"


def pre_filter(pod: PodInfo, snapshot: Snapshot) -> Collection[str] | Verdict | None:
    """Claims that keep the pod from every node."""
    unbound = False
    for facts in pod.claims:
        if (why := _obstacle(facts)) is not None:
            return unresolvable(why)
        unbound = unbound or _is_unbound(facts)
    return unresolvable(UNBOUND) if unbound else None


def _obstacle(facts: ClaimFacts) -> str | None:
    claim = facts.claim
    if claim is None:
        return f'persistentvolumeclaim "{facts.name}" not found'
    if at(claim, "status", "phase") == "Lost":
        volume = at(claim, "spec", "volumeName", default="")
        return (
            f'persistentvolumeclaim "{facts.name}" bound to non-existent persistentvolume'
            f' "{volume}"'
        )
    if is_terminating(claim):
        return f'persistentvolumeclaim "{facts.name}" is being deleted'
    return None


def _is_unbound(facts: ClaimFacts) -> bool:
    """Not bound though its class does not wait for a pod."""
    claim = facts.claim
    assert claim is not None
    bound = matching.BIND_COMPLETED in (claim["metadata"].get("annotations") or {})
    if bound and at(claim, "spec", "volumeName"):
        return False
    return not matching.waits_for_consumer(facts.storage_class)


def filter_node(pod: PodInfo, node: NodeInfo) -> Verdict | None:
    for facts in pod.claims:
        if at(facts.claim, "spec", "volumeName"):
            if facts.volume is None:
                return unresolvable(NO_VOLUME)
            affinity = at(facts.volume, "spec", "nodeAffinity", "required")
            if affinity and not matches_selector(affinity, node.node):
                return unresolvable(NODE_CONFLICT)
        elif not _can_be_had(facts, node):
            return unresolvable(NOTHING_TO_BIND)
    return None


def _can_be_had(facts: ClaimFacts, node: NodeInfo) -> bool:
    """A claim that waits: a volume of the node is free, or somebody makes one."""
    assert facts.claim is not None
    if (facts.storage_class or {}).get("provisioner") != NO_PROVISIONER:
        return True
    found = matching.best(facts.free, facts.claim, waits=False, node=node.node)
    return found is not None
