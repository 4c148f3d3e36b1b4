"""Ending a node's containers when nothing of the node runs any more."""

from tiphys.cluster.node_components import runtime_config
from tiphys.cluster.profile import Node, Profile
from tiphys.runtime.purge import purge


def stop_containers(profile: Profile, node: Node) -> None:
    """End every shim and container of the node, with their mounts, namespaces and cgroups."""
    purge(runtime_config(profile, node))
