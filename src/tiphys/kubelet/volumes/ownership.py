"""Give a volume to the pod's fsGroup.

Upstream: pkg/volume/volume_linux.go (SetVolumeOwnership): group read (and write), directories
also pass, and new files in them belong to the group.
"""

import os
import stat
from pathlib import Path
from typing import Final

READ_MASK: Final = 0o440
WRITE_MASK: Final = 0o660
PASS_MASK: Final = 0o110


def give_to_group(root: Path, group: int, *, readonly: bool) -> None:
    """Everything at and under root; symbolic links are not followed. Raises OSError."""
    _give(root, group, readonly=readonly)
    for folder, directories, files in os.walk(root):
        for name in (*directories, *files):
            _give(Path(folder, name), group, readonly=readonly)


def _give(path: Path, group: int, *, readonly: bool) -> None:
    info = path.lstat()
    os.lchown(path, -1, group)
    if stat.S_ISLNK(info.st_mode):
        return
    path.chmod(stat.S_IMODE(info.st_mode) | group_mask(info.st_mode, readonly=readonly))


def group_mask(mode: int, *, readonly: bool) -> int:
    mask = READ_MASK if readonly else WRITE_MASK
    return mask | PASS_MASK | stat.S_ISGID if stat.S_ISDIR(mode) else mask
