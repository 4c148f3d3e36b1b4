"""Network namespaces: making named ones, removing them, and working inside one for a moment.

A namespace is kept by a bind mount of its file, as iproute2 does in /run/netns. That folder is made
a shared mount first, as iproute2 makes it: otherwise the first `ip netns add` binds the folder over
itself, and the mounts of before are hidden under it and can never be removed.
"""

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_CLONE_NEWNET: Final = 0x40000000
_MS_BIND: Final = 0x1000
_MS_REC: Final = 0x4000
_MS_SHARED: Final = 1 << 20
_MNT_DETACH: Final = 2
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def setns(fd: int, what: str) -> None:
    """Put the calling thread into a network namespace."""
    _check(_libc.setns(fd, _CLONE_NEWNET), what)


def unshare() -> None:
    """Put this process into a new namespace that ends with it."""
    _check(_libc.unshare(_CLONE_NEWNET), "unshare the network namespace")


def prepare(directory: Path) -> None:
    """Make the folder of namespaces a shared mount of itself; doing it again changes nothing."""
    directory.mkdir(parents=True, exist_ok=True)
    raw = os.fsencode(directory)
    if _libc.mount(b"", raw, None, _MS_SHARED | _MS_REC, None) == 0:
        return
    _check(_libc.mount(raw, raw, None, _MS_BIND | _MS_REC, None), f"bind {directory}")
    _check(_libc.mount(b"", raw, None, _MS_SHARED | _MS_REC, None), f"share {directory}")


def remove_empty(directory: Path) -> None:
    """Take the folder of namespaces away, unless somebody has one there."""
    with suppress(OSError):
        if not any(directory.iterdir()):
            _libc.umount2(os.fsencode(directory), _MNT_DETACH)
            directory.rmdir()


def create(path: Path) -> None:
    """Make a new namespace and keep it at path. The caller stays where it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o444)
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        unshare()
        try:
            _check(
                _libc.mount(b"/proc/thread-self/ns/net", os.fsencode(path), None, _MS_BIND, None),
                f"keep the network namespace at {path}",
            )
        finally:
            setns(here, "return to the own network namespace")
    except OSError:
        with suppress(OSError):
            path.unlink()
        raise
    finally:
        os.close(here)


def delete(path: Path) -> None:
    """Let go of a namespace; none there is fine. It ends with its last process."""
    if _libc.umount2(os.fsencode(path), _MNT_DETACH) != 0:
        number = ctypes.get_errno()
        if number not in (errno.EINVAL, errno.ENOENT):
            raise OSError(number, f"release the network namespace {path}: {os.strerror(number)}")
    path.unlink(missing_ok=True)


def is_alive(path: Path) -> bool:
    """Whether a namespace is kept at path (after a reboot only an empty file is there)."""
    try:
        here = os.stat("/proc/thread-self/ns/net")
        return path.stat().st_dev == here.st_dev
    except OSError:
        return False


@contextmanager
def inside(path: Path) -> Iterator[None]:
    """The calling thread works inside the namespace; sockets made there stay there."""
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            setns(there, f"enter the network namespace {path}")
        finally:
            os.close(there)
        try:
            yield
        finally:
            setns(here, "return to the own network namespace")
    finally:
        os.close(here)
