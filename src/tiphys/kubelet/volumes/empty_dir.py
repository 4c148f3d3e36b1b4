"""emptyDir volumes, on disk or in memory. Upstream: pkg/volume/emptydir."""

import os
from pathlib import Path

from tiphys.api.meta import Obj, at
from tiphys.kubelet import mounts, quantities
from tiphys.kubelet.pod_spec import pod_limits
from tiphys.kubelet.volumes.ownership import give_to_group
from tiphys.kubelet.volumes.volume import Context, HostVolume, fs_group

MODE = 0o777


async def set_up(pod: Obj, volume: Obj, context: Context) -> HostVolume:
    directory = context.directory("empty-dir", volume["name"])
    in_memory = at(volume, "emptyDir", "medium", default="") == "Memory"
    _make(pod, directory, memory_bytes(pod, volume, context) if in_memory else None)
    return HostVolume(directory)


def _make(pod: Obj, directory: Path, memory: int | None) -> None:
    """`memory` is the size of a tmpfs, None for a directory on disk."""
    is_new = not directory.is_dir()
    if is_new:
        directory.mkdir(parents=True)
        directory.chmod(MODE)
    if memory is not None and not os.path.ismount(directory):
        mounts.mount_tmpfs(directory, size_bytes=memory)
        is_new = True
    group = fs_group(pod)
    if is_new and group is not None:
        give_to_group(directory, group, readonly=False)


def memory_bytes(pod: Obj, volume: Obj, context: Context) -> int:
    """The least of the volume's limit, the pod's memory limit and the node's allocatable."""
    bounds = [
        at(volume, "emptyDir", "sizeLimit"),
        pod_limits(pod).get("memory"),
        context.allocatable.get("memory"),
    ]
    sizes = [quantities.value(b) for b in bounds if b and quantities.value(b)]
    return min(sizes, default=0)
