"""VolumeZone: a volume that is labelled with a zone or region is used there only.

Upstream: pkg/scheduler/framework/plugins/volumezone/volume_zone.go.
"""

from typing import Final

from tiphys.api.meta import labels_of
from tiphys.scheduler.framework import (
    CLAIM_CHANGE,
    NODE_ADD,
    NODE_LABEL,
    VOLUME_CHANGE,
    NodeInfo,
    PodInfo,
    Verdict,
    unresolvable,
)

NAME: Final = "VolumeZone"
RETRY_ON: Final = frozenset({CLAIM_CHANGE, VOLUME_CHANGE, NODE_ADD, NODE_LABEL})
REASON: Final = "node(s) had no available volume zone"
# The labels, and the older names that nodes may have instead.
LABELS: Final = {
    "topology.kubernetes.io/zone": "failure-domain.beta.kubernetes.io/zone",
    "topology.kubernetes.io/region": "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
}
SEPARATOR: Final = "__"  # Between the zones of a volume that is in several.


def filter_node(pod: PodInfo, node: NodeInfo) -> Verdict | None:
    for facts in pod.claims:
        if facts.volume is None:
            continue
        for label, other in LABELS.items():
            zones = labels_of(facts.volume).get(label)
            if zones is None:
                continue
            here = node.labels.get(label, node.labels.get(other))
            if here is None and not any(name in node.labels for name in LABELS):
                continue  # A node without any zone is not in a wrong one.
            if here not in zones.split(SEPARATOR):
                return unresolvable(REASON)
    return None
