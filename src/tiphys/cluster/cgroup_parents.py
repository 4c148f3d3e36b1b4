"""The control groups above those of nodes and builds."""

from contextlib import suppress
from pathlib import Path, PurePosixPath

from tiphys.runtime.cgroups.interface import detect


def remove_empty_parents(cgroup_root: str) -> None:
    """The profile's group and, after the last profile, ours: other profiles keep what is theirs."""
    cgroups = detect()
    for parent in list(PurePosixPath(cgroup_root).parents)[:-1]:
        for directory in cgroups.directories(str(parent).strip("/")):
            with suppress(OSError):  # Not there, or somebody else's group is in it.
                Path(directory).rmdir()
