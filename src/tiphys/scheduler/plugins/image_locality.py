"""ImageLocality: prefer nodes that have the pod's images already.

Upstream: pkg/scheduler/framework/plugins/imagelocality.
"""

from typing import Final

from tiphys.api.meta import at
from tiphys.scheduler.framework import SCORE_MAX, NodeInfo, PodInfo, Snapshot

NAME: Final = "ImageLocality"
_MEGABYTE: Final = 1024 * 1024
THRESHOLD_MIN: Final = 23 * _MEGABYTE  # minThreshold
THRESHOLD_MAX: Final = 1000 * _MEGABYTE  # maxContainerThreshold


def score_node(pod: PodInfo, node: NodeInfo, snapshot: Snapshot) -> int:
    images = [c.get("image", "") for c in at(pod.pod, "spec", "containers", default=[])]
    if not images or not node.images:
        return 0
    total = 0
    for image in images:
        name = normalized_name(image)
        size = node.images.get(name, 0)
        if size:
            holders = sum(1 for n in snapshot.nodes if name in n.images)
            total += size * holders // len(snapshot.nodes)
    highest = THRESHOLD_MAX * len(images)
    clamped = min(max(total, THRESHOLD_MIN), highest)
    return SCORE_MAX * (clamped - THRESHOLD_MIN) // (highest - THRESHOLD_MIN)


def normalized_name(image: str) -> str:
    """A name without tag or digest means latest."""
    return image if ":" in image.rsplit("/", 1)[-1] or "@" in image else f"{image}:latest"
