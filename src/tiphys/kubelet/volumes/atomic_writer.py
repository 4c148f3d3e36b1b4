"""A directory of files that changes all at once.

    volume/..2026_11_24_10_00_00.123456789/key    the files of one version
    volume/..data -> ..2026_11_24_10_00_00.123456789
    volume/key -> ..data/key

A reader sees the old files or the new ones, never a mixture.
Upstream: pkg/volume/util/atomic_writer.go.
"""

import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from tiphys.kubelet.volumes.ownership import group_mask

DATA: Final = "..data"
DATA_NEW: Final = "..data_tmp"
DIRECTORY_MODE: Final = 0o755
FILES_MAX: Final = 10_000  # A config map of 1 MiB cannot hold more.


@dataclass(frozen=True, slots=True)
class File:
    data: bytes
    mode: int
    user: int | None = None


class PathError(ValueError):
    """A file's path that leaves the volume."""


def write_files(
    volume: Path, files: Mapping[str, File], version: str, group: int | None = None
) -> bool:
    """Make the volume hold exactly files; False where it does so already.

    `version` names the new directory (a time and something random). Raises OSError, PathError.
    """
    for path in files:
        check_path(path)
    current = _current(volume)
    if current is not None and _same(current, files, group):
        return False
    new = volume / f"..{version}"
    new.mkdir(mode=DIRECTORY_MODE)
    for path, file in files.items():
        _write(new, path, file, group)
    _own_directories(new, group)
    link = volume / DATA_NEW
    link.unlink(missing_ok=True)
    link.symlink_to(new.name)
    link.rename(volume / DATA)
    _link_names(volume, {PurePosixPath(path).parts[0] for path in files})
    if current is not None:
        shutil.rmtree(current, ignore_errors=True)
    return True


def check_path(path: str) -> None:
    """Raises PathError for what is absolute, goes up, or hides behind `..` names."""
    parts = PurePosixPath(path).parts
    if not path or path.startswith("/") or ".." in parts or parts[0].startswith(".."):
        raise PathError(f"invalid path: {path!r}")


def _current(volume: Path) -> Path | None:
    try:
        return volume / (volume / DATA).readlink()
    except OSError:
        return None


def _same(current: Path, files: Mapping[str, File], group: int | None) -> bool:
    found = {
        str(Path(folder, name).relative_to(current))
        for folder, _, names in os.walk(current)
        for name in names
    }
    if found != {str(PurePosixPath(p)) for p in files}:
        return False
    for path, file in files.items():
        try:
            info = (current / path).stat()
            if stat.S_IMODE(info.st_mode) != _mode(file, group):
                return False
            if (current / path).read_bytes() != file.data:
                return False
        except OSError:
            return False
    return True


def _mode(file: File, group: int | None) -> int:
    return file.mode if group is None else file.mode | group_mask(0, readonly=True)


def _write(root: Path, path: str, file: File, group: int | None) -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True, mode=DIRECTORY_MODE)
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as out:
        out.write(file.data)
        if file.user is not None or group is not None:
            user = -1 if file.user is None else file.user
            os.fchown(out.fileno(), user, -1 if group is None else group)
        # After the owner: a change of owner clears bits.
        os.fchmod(out.fileno(), _mode(file, group))


def _own_directories(root: Path, group: int | None) -> None:
    for folder, _, _ in os.walk(root):
        os.chmod(folder, DIRECTORY_MODE)
        if group is not None:
            os.chown(folder, -1, group)
            os.chmod(folder, DIRECTORY_MODE | group_mask(stat.S_IFDIR, readonly=True))


def _link_names(volume: Path, names: set[str]) -> None:
    """A link for each first part of a path; links of names that are gone are removed."""
    for entry in list(volume.iterdir()):
        if not entry.name.startswith("..") and entry.name not in names:
            entry.unlink()
    for name in names:
        if not (volume / name).is_symlink():
            (volume / name).symlink_to(f"{DATA}/{name}")
