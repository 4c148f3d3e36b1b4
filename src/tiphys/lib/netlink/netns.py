"""Network namespaces: making named ones, removing them, and working inside one for a moment.

A namespace is kept by a bind mount of its file, as iproute2 does in /run/netns.
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


def share_directory(path: Path) -> None:
    """Make a directory of namespaces a shared mount of its own, as `ip netns add` does.

    It does so with a directory that is none yet, and would hide below it what we keep there: our
    namespaces could then be neither entered nor let go. Source: iproute2 ip/ipnetns.c.
    """
    path.mkdir(parents=True, exist_ok=True)
    name = os.fsencode(path)
    if _libc.mount(None, name, None, _MS_SHARED, None) == 0:
        return  # Only a mount can be shared: it is one.
    flags = _MS_BIND | _MS_REC  # What is kept there already stays in sight.
    _check(_libc.mount(name, name, None, flags, None), f"mount {path} on itself")
    _check(_libc.mount(None, name, None, _MS_SHARED, None), f"share the mount {path}")


def remove_directory(path: Path) -> None:
    """Take a directory of namespaces away again unless somebody keeps one in it."""
    with suppress(OSError):
        if not any(path.iterdir()):
            _libc.umount2(os.fsencode(path), _MNT_DETACH)
            path.rmdir()


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
