"""Marking a node as closed to new pods, in kubectl's words."""

from typing import Final

from tiphys.api.meta import GroupVersionResource, at
from tiphys.cli.kubectl.client import KubeClient, path_of

NODES: Final = GroupVersionResource("", "v1", "nodes")


def set_unschedulable(kube: KubeClient, name: str, *, wanted: bool) -> None:
    """Raises ApiError."""
    name = name.removeprefix("node/").removeprefix("nodes/")
    path = path_of(NODES, "", name)
    word = "cordoned" if wanted else "uncordoned"
    if bool(at(kube.request("GET", path), "spec", "unschedulable", default=False)) == wanted:
        print(f"node/{name} already {word}")
        return
    patch = {"spec": {"unschedulable": True if wanted else None}}
    kube.request("PATCH", path, patch, content_type="application/merge-patch+json")
    print(f"node/{name} {word}")
