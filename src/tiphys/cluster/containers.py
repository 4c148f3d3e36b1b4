"""Ending a node's containers when nothing of the node runs any more."""

from tiphys.cluster.cgroup_parents import remove_empty_parents
from tiphys.cluster.node_components import runtime_config
from tiphys.cluster.profile import Node, Profile
from tiphys.runtime import purge


def stop_containers(profile: Profile, node: Node) -> None:
    """End every container of the node; images and records stay for the next start."""
    purge.stop(runtime_config(profile, node))


def remove_containers(profile: Profile, node: Node) -> None:
    """Remove every trace of the node's runtime: processes, mounts, cgroups, files."""
    config = runtime_config(profile, node)
    purge.purge(config)
    remove_empty_parents(config.cgroup_root)
