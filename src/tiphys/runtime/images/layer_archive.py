"""Writes a layer: what overlayfs's upper directory holds, as a tar archive.

The opposite of `layers.unpack`. The same files give the same bytes: entries are sorted, names of
users are left out, times are whole seconds and, with `latest_time`, never later than it.

Sources: OCI image-spec layer.md; kernel filesystems/overlayfs.rst; reproducible-builds.org
(SOURCE_DATE_EPOCH).
"""

import os
import stat
import tarfile
from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol

from tiphys.runtime.images.layers import OPAQUE, WHITEOUT, LayerError

_XATTR: Final = "SCHILY.xattr."
_XATTRS_KEPT: Final = ("security.capability", "user.")
_OPAQUE: Final = "trusted.overlay.opaque"
# With these an entry's contents lie in a lower layer: the mount must be made without them.
_NOT_WHOLE: Final = ("trusted.overlay.redirect", "trusted.overlay.metacopy")


class Writable(Protocol):
    def write(self, data: Any, /) -> int: ...


def pack(
    upper: str,
    target: Writable,
    lower: Sequence[str] = (),
    latest_time: int | None = None,
) -> int:
    """Write the layer of directory upper to target; lower are directories of the layers below.

    Returns how many entries it has. Raises: LayerError, OSError.
    """
    packer = _Packer(upper, lower, latest_time)
    output: Any = target
    with tarfile.open(fileobj=output, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for path in _paths(upper):
            packer.add(archive, path)
    return packer.count


def _paths(upper: str) -> Iterator[str]:
    """Relative paths of everything below, a directory before what is in it."""
    waiting = [""]
    while waiting:
        path = waiting.pop()
        if path:
            yield path
        here = os.path.join(upper, path)
        if stat.S_ISDIR(os.lstat(here).st_mode):
            waiting += [os.path.join(path, name) for name in sorted(os.listdir(here), reverse=True)]


class _Packer:
    def __init__(self, upper: str, lower: Sequence[str], latest_time: int | None) -> None:
        self._upper = upper
        self._lower = lower
        self._latest_time = latest_time
        self._links: dict[int, str] = {}
        self.count = 0

    def add(self, archive: tarfile.TarFile, path: str) -> None:
        full = os.path.join(self._upper, path)
        status = os.lstat(full)
        if stat.S_ISSOCK(status.st_mode):
            return  # An archive has no form for it, and nobody listens any more.
        self.count += 1
        if os.path.basename(path).startswith(WHITEOUT):
            raise LayerError(f"{path}: a name that begins with {WHITEOUT} cannot be in a layer")
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
            archive.addfile(self._marker(path, WHITEOUT + os.path.basename(path)))
            return
        info = self._entry(path, full, status)
        if info.isreg():
            with open(full, "rb") as file:
                archive.addfile(info, file)
            return
        archive.addfile(info)
        if info.isdir() and self._is_opaque(path, full):
            archive.addfile(self._marker(os.path.join(path, OPAQUE), OPAQUE))

    def _marker(self, path: str, name: str) -> tarfile.TarInfo:
        info = tarfile.TarInfo(os.path.join(os.path.dirname(path), name))
        info.mode = 0o600
        return info

    def _entry(self, path: str, full: str, status: os.stat_result) -> tarfile.TarInfo:
        info = tarfile.TarInfo(path)
        info.mode = stat.S_IMODE(status.st_mode)
        info.uid, info.gid = status.st_uid, status.st_gid
        info.mtime = self._time(status)
        if stat.S_ISDIR(status.st_mode):
            info.type = tarfile.DIRTYPE
        elif status.st_nlink > 1 and status.st_ino in self._links:
            info.type, info.linkname = tarfile.LNKTYPE, self._links[status.st_ino]
            return info
        elif stat.S_ISLNK(status.st_mode):
            info.type, info.linkname = tarfile.SYMTYPE, os.readlink(full)
        elif stat.S_ISFIFO(status.st_mode):
            info.type = tarfile.FIFOTYPE
        elif stat.S_ISREG(status.st_mode):
            info.size = status.st_size
        else:
            info.type = tarfile.CHRTYPE if stat.S_ISCHR(status.st_mode) else tarfile.BLKTYPE
            info.devmajor, info.devminor = os.major(status.st_rdev), os.minor(status.st_rdev)
        if status.st_nlink > 1 and not info.isdir():
            self._links[status.st_ino] = path
        info.pax_headers = self._attributes(path, full)
        return info

    def _time(self, status: os.stat_result) -> int:
        when = max(0, int(status.st_mtime))
        return when if self._latest_time is None else min(when, self._latest_time)

    def _attributes(self, path: str, full: str) -> dict[str, str]:
        names = sorted(os.listxattr(full, follow_symlinks=False))
        for name in names:
            if name in _NOT_WHOLE:
                raise LayerError(f"{path}: its contents lie in a lower layer ({name})")
        return {
            _XATTR + name: os.getxattr(full, name, follow_symlinks=False).decode(
                "utf-8", "surrogateescape"
            )
            for name in names
            if name.startswith(_XATTRS_KEPT)
        }

    def _is_opaque(self, path: str, full: str) -> bool:
        """overlayfs marks every new directory so; it means something only above another one."""
        try:
            if os.getxattr(full, _OPAQUE) != b"y":
                return False
        except OSError:
            return False
        return any(os.path.isdir(os.path.join(below, path)) for below in self._lower)


class HashingFile:
    """Passes what is written on to a file and hashes it."""

    def __init__(self, target: Writable, proof: Any) -> None:
        self._target = target
        self._proof = proof
        self.size_bytes = 0

    def write(self, data: Any, /) -> int:
        self._proof.update(data)
        self.size_bytes += len(data)
        return self._target.write(data)
