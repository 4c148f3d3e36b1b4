"""The few mounts that volumes need: tmpfs, and a bind of a directory held open.

Source: mount(2), umount2(2).
"""

import ctypes
import errno
import os
from functools import cache
from pathlib import Path
from typing import Final

MS_NOSUID: Final = 0x2
MS_NODEV: Final = 0x4
MS_BIND: Final = 0x1000
MNT_DETACH: Final = 0x2


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(name: str, path: str, *args: object) -> None:
    if getattr(_libc(), name)(*args) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), path)


def mount_tmpfs(target: Path, *, size_bytes: int = 0, mode: int = 0o777) -> None:
    """A tmpfs on target; size 0 leaves the kernel's default. Raises OSError."""
    options = f"mode={mode:o}" + (f",size={size_bytes}" if size_bytes else "")
    flags = ctypes.c_ulong(MS_NOSUID | MS_NODEV)
    where = os.fsencode(target)
    _call("mount", str(target), b"tmpfs", where, b"tmpfs", flags, options.encode())


def bind_descriptor(fd: int, target: Path) -> None:
    """Make what fd refers to appear at target, whatever its path leads to by now."""
    source = f"/proc/self/fd/{fd}".encode()
    _call("mount", str(target), source, os.fsencode(target), None, ctypes.c_ulong(MS_BIND), None)


def unmount(target: Path) -> None:
    """Detach; nothing mounted there is no error. Raises OSError."""
    try:
        _call("umount2", str(target), os.fsencode(target), MNT_DETACH)
    except OSError as exc:
        if exc.errno not in (errno.EINVAL, errno.ENOENT):
            raise


def mounts_below(root: Path) -> list[Path]:
    """Mount points at or under root, the deepest first."""
    prefix = str(root)
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split()[4].encode().decode("unicode_escape")
        if point == prefix or point.startswith(prefix + "/"):
            found.append(Path(point))
    return sorted(found, key=lambda p: len(p.parts), reverse=True)
