"""A part of a volume as a mount of its own, safe against links that containers make.

The part is opened step by step without following links, and the open directory is bound, so a
container that swaps it for a link meanwhile gains nothing. Upstream: pkg/volume/util/subpath.
"""

import os
import stat
from pathlib import Path, PurePosixPath

from tiphys.kubelet import mounts
from tiphys.kubelet.volumes.volume import VolumeError

_STEP = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


def bind_sub_path(volume: Path, sub_path: str, target: Path) -> Path:
    """Mount `volume/sub_path` at target and return target; a missing directory is made.

    Raises VolumeError where the path leaves the volume, OSError.
    """
    parts = PurePosixPath(sub_path).parts
    if sub_path.startswith("/") or ".." in parts:
        raise VolumeError(f"subPath {sub_path!r} must stay within the volume")
    root = volume.resolve()
    wanted = root / sub_path
    real = wanted.resolve()
    if real != root and root not in real.parents:
        raise VolumeError(f"subPath {sub_path!r} leads out of the volume")
    mode = stat.S_IMODE(root.stat().st_mode)
    fd = _open_beneath(root, real.relative_to(root).parts, mode)
    try:
        mounts.unmount(target)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            target.mkdir(exist_ok=True)
        else:
            target.touch()
        mounts.bind_descriptor(fd, target)
    finally:
        os.close(fd)
    return target


def _open_beneath(root: Path, parts: tuple[str, ...], mode: int) -> int:
    fd = os.open(root, _STEP | os.O_DIRECTORY)
    for part in parts:
        parent = fd
        try:
            try:
                fd = os.open(part, _STEP, dir_fd=parent)
            except FileNotFoundError:
                os.mkdir(part, mode, dir_fd=parent)
                os.chmod(part, mode, dir_fd=parent)
                fd = os.open(part, _STEP, dir_fd=parent)
        finally:
            os.close(parent)
        if stat.S_ISLNK(os.fstat(fd).st_mode):
            os.close(fd)
            raise VolumeError(f"{part!r} became a link")
    return fd
