"""Ending a node's containers when nothing of the node runs any more."""

from contextlib import suppress
from pathlib import Path, PurePosixPath

from tiphys.cluster.node_components import runtime_config
from tiphys.cluster.profile import Node, Profile
from tiphys.runtime import purge
from tiphys.runtime.cgroups.interface import detect


def stop_containers(profile: Profile, node: Node) -> None:
    """End every container of the node; images and records stay for the next start."""
    purge.stop(runtime_config(profile, node))


def remove_containers(profile: Profile, node: Node) -> None:
    """Remove every trace of the node's runtime: processes, mounts, cgroups, files."""
    config = runtime_config(profile, node)
    purge.purge(config)
    remove_empty_parents(config.cgroup_root)


def remove_empty_parents(cgroup_root: str) -> None:
    """The profile's group and, after the last profile, ours: other profiles keep what is theirs."""
    cgroups = detect()
    for parent in list(PurePosixPath(cgroup_root).parents)[:-1]:
        for directory in cgroups.directories(str(parent).strip("/")):
            with suppress(OSError):  # Not there, or somebody else's group is in it.
                Path(directory).rmdir()
