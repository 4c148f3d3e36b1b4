"""Mount and UTS namespaces kept by bind mounts, as a node of its own needs them.

The files live on a private mount: the kernel refuses to keep a mount namespace on a shared one.
"""

import ctypes
import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

CLONE_NEWNS: Final = 0x00020000
CLONE_NEWUTS: Final = 0x04000000
CLONE_NEWNET: Final = 0x40000000
_MS_RDONLY: Final = 1
_MS_REMOUNT: Final = 0x20
_MS_BIND: Final = 0x1000
_MS_REC: Final = 0x4000
_MS_PRIVATE: Final = 1 << 18
_MS_SLAVE: Final = 1 << 19
_MNT_DETACH: Final = 2
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def make_private_directory(path: Path) -> None:
    """A directory that is a private mount of itself; doing it again changes nothing."""
    path.mkdir(parents=True, exist_ok=True, mode=0o711)
    if is_mount_point(path):
        return
    raw = os.fsencode(path)
    _check(_libc.mount(raw, raw, None, _MS_BIND, None), f"bind {path}")
    _check(_libc.mount(None, raw, None, _MS_PRIVATE, None), f"make {path} private")


def is_mount_point(path: Path) -> bool:
    """Also of a folder that is bound to itself, which has its parent's device number."""
    wanted = str(path.resolve())
    text = Path("/proc/self/mountinfo").read_text()
    return any(line.split()[4] == wanted for line in text.splitlines())


def release(path: Path) -> None:
    """Unmount; what is not mounted is fine."""
    if _libc.umount2(os.fsencode(path), _MNT_DETACH) != 0:
        number = ctypes.get_errno()
        if number not in (errno.EINVAL, errno.ENOENT):
            raise OSError(number, f"unmount {path}: {os.strerror(number)}")


def bind(source: Path, target: Path, *, read_only: bool = False) -> None:
    """Show source at target too, with what is mounted below it. Raises OSError."""
    where, at = os.fsencode(source), os.fsencode(target)
    _check(_libc.mount(where, at, None, _MS_BIND | _MS_REC, None), f"bind {source}")
    if read_only:
        flags = _MS_BIND | _MS_REMOUNT | _MS_RDONLY
        _check(_libc.mount(None, at, None, flags, None), f"make {target} read-only")


def create(
    mount_file: Path, uts_file: Path, hostname: str, binds: Sequence[tuple[Path, str]] = ()
) -> None:
    """New mount and UTS namespaces, kept at the two files. Mounts made inside stay inside.

    binds: (folder, where it shows inside).

    The kernel keeps only namespaces that are younger than the one they are kept in. Since Linux
    6.18 it tells by numbers that each CPU takes from a range of its own: where ours is not the
    first namespace, the CPU that made ours is one that gives a higher number.
    """
    for cpu in sorted(os.sched_getaffinity(0)):
        try:
            return _create(mount_file, uts_file, hostname, binds, cpu)
        except OSError as exc:
            if exc.errno != errno.EINVAL:
                raise
            last = exc
    raise last


def _create(
    mount_file: Path, uts_file: Path, hostname: str, binds: Sequence[tuple[Path, str]], cpu: int
) -> None:
    read_end, write_end = os.pipe()
    done_read, done_write = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(done_write)
            os.sched_setaffinity(0, {cpu})
            _check(_libc.unshare(CLONE_NEWNS | CLONE_NEWUTS), "unshare mounts and host name")
            _check(_libc.mount(None, b"/", None, _MS_REC | _MS_SLAVE, None), "make / a slave")
            for source, target in binds:
                where = os.fsencode(source)
                _check(_libc.mount(where, target.encode(), None, _MS_BIND, None), f"bind {source}")
            name = hostname.encode()
            _check(_libc.sethostname(name, len(name)), "set the host name")
            os.write(write_end, b"1")
            os.read(done_read, 1)
            code = 0
        finally:
            os._exit(code)
    os.close(write_end)
    os.close(done_read)
    try:
        if os.read(read_end, 1) != b"1":
            raise OSError(errno.EPERM, f"cannot make a mount namespace for {hostname}")
        for kind, path in (("mnt", mount_file), ("uts", uts_file)):
            path.touch(mode=0o444)
            kept = f"/proc/{child}/ns/{kind}".encode()
            what = f"keep the {kind} namespace at {path}"
            _check(_libc.mount(kept, os.fsencode(path), None, _MS_BIND, None), what)
    finally:
        os.close(done_write)
        os.close(read_end)
        os.waitpid(child, 0)


def enter(path: Path, kind: int) -> None:
    """Put this (single-threaded) process into a kept namespace."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.setns(fd, kind), f"enter {path}")
    finally:
        os.close(fd)


def is_alive(path: Path) -> bool:
    """Whether a namespace is kept at path."""
    try:
        return path.stat().st_dev == os.stat("/proc/self/ns/mnt").st_dev
    except OSError:
        return False
