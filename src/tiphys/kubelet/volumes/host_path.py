"""hostPath volumes. Upstream: pkg/volume/hostpath."""

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tiphys.api.meta import Obj
from tiphys.kubelet.volumes.volume import Context, HostVolume, VolumeError

DIRECTORY_MODE: Final = 0o755
FILE_MODE: Final = 0o644
_CHECKS: Final[dict[str, tuple[Callable[[int], bool], str]]] = {
    "Directory": (stat.S_ISDIR, "is not a directory"),
    "DirectoryOrCreate": (stat.S_ISDIR, "is not a directory"),
    "File": (stat.S_ISREG, "is not a file"),
    "FileOrCreate": (stat.S_ISREG, "is not a file"),
    "Socket": (stat.S_ISSOCK, "is not a socket file"),
    "CharDevice": (stat.S_ISCHR, "is not a character device"),
    "BlockDevice": (stat.S_ISBLK, "is not a block device"),
}


async def set_up(pod: Obj, volume: Obj, context: Context) -> HostVolume:
    source = volume["hostPath"]
    path = Path(source["path"])
    prepare(path, source.get("type") or "")
    return HostVolume(path)


def prepare(path: Path, kind: str) -> None:
    """Make what may be made, then check. Raises VolumeError, OSError."""
    if kind in ("", "DirectoryOrCreate") and not path.exists():
        path.mkdir(mode=DIRECTORY_MODE, parents=True)
        path.chmod(DIRECTORY_MODE)
    elif kind == "FileOrCreate" and not path.exists():
        path.touch(mode=FILE_MODE)
        path.chmod(FILE_MODE)
    if kind not in _CHECKS:
        return
    check, what = _CHECKS[kind]
    if not path.exists() or not check(path.stat().st_mode):
        raise VolumeError(f"hostPath type check failed: {path} {what}")
