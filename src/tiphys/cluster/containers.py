"""Ending a node's containers when nothing of the node runs any more."""

from tiphys.cluster.node_components import runtime_config
from tiphys.cluster.profile import Node, Profile
from tiphys.runtime.purge import stop


def stop_containers(profile: Profile, node: Node) -> None:
    """End every shim and container of the node, with their namespaces and cgroups; files stay."""
    stop(runtime_config(profile, node))
