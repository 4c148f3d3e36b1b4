"""The one door to the kernel: system calls that Python's os module lacks, for x86-64 and arm64.

Every function raises OSError with the errno and the path or name it was about. This module is
imported by the shim, so it imports ctypes, errno, os and nothing else.

Sources: man 2 of each call; numbers from the kernel's arch/x86/entry/syscalls/syscall_64.tbl and
include/uapi/asm-generic/unistd.h; constants from include/uapi/linux/{mount,sched,prctl,openat2}.h.
"""

import ctypes
import errno
import os
import struct
from typing import Final

MACHINE: Final = os.uname().machine

# name: (x86-64, arm64)
_NUMBERS: Final = {
    "capset": (126, 91),
    "pivot_root": (155, 41),
    "seccomp": (317, 277),
    "bpf": (321, 280),
    "execveat": (322, 281),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "close_range": (436, 436),
    "openat2": (437, 437),
    "mount_setattr": (442, 442),
}
_COLUMN: Final = 1 if MACHINE == "aarch64" else 0

CLONE_NEWNS: Final = 0x00020000
CLONE_NEWCGROUP: Final = 0x02000000
CLONE_NEWUTS: Final = 0x04000000
CLONE_NEWIPC: Final = 0x08000000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWPID: Final = 0x20000000
CLONE_NEWNET: Final = 0x40000000

MS_RDONLY: Final = 1
MS_REC: Final = 1 << 14
MS_PRIVATE: Final = 1 << 18
MS_SLAVE: Final = 1 << 19
MS_SHARED: Final = 1 << 20
MNT_DETACH: Final = 2

MOUNT_ATTR_RDONLY: Final = 1
MOUNT_ATTR_NOSUID: Final = 2
MOUNT_ATTR_NODEV: Final = 4
MOUNT_ATTR_NOEXEC: Final = 8

AT_FDCWD: Final = -100
AT_EMPTY_PATH: Final = 0x1000
AT_RECURSIVE: Final = 0x8000
AT_SYMLINK_NOFOLLOW: Final = 0x100
OPEN_TREE_CLONE: Final = 1
OPEN_TREE_CLOEXEC: Final = os.O_CLOEXEC
MOVE_MOUNT_F_EMPTY_PATH: Final = 0x04
MOVE_MOUNT_T_EMPTY_PATH: Final = 0x40
FSOPEN_CLOEXEC: Final = 1
FSMOUNT_CLOEXEC: Final = 1
FSCONFIG_SET_FLAG: Final = 0
FSCONFIG_SET_STRING: Final = 1
FSCONFIG_CMD_CREATE: Final = 6

RESOLVE_NO_MAGICLINKS: Final = 0x02
RESOLVE_NO_SYMLINKS: Final = 0x04
RESOLVE_BENEATH: Final = 0x08
RESOLVE_IN_ROOT: Final = 0x10

PR_SET_PDEATHSIG: Final = 1
PR_SET_DUMPABLE: Final = 4
PR_SET_KEEPCAPS: Final = 8
PR_SET_NAME: Final = 15
PR_CAPBSET_DROP: Final = 24
PR_SET_NO_NEW_PRIVS: Final = 38
PR_CAP_AMBIENT: Final = 47
PR_CAP_AMBIENT_CLEAR_ALL: Final = 4

SECCOMP_SET_MODE_FILTER: Final = 1
_CAPABILITY_VERSION_3: Final = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def _check(result: int, about: str = "") -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), about) if about else OSError(code, os.strerror(code))
    return result


def _call(name: str, *args: object) -> int:
    """A system call by name; integers are passed as longs."""
    number = _NUMBERS[name][_COLUMN]
    longs = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    return int(_libc.syscall(ctypes.c_long(number), *longs))


def unshare(flags: int) -> None:
    _check(_libc.unshare(flags), "unshare")


def setns(fd: int, kind: int) -> None:
    _check(_libc.setns(fd, kind), "setns")


def enter_mount_namespace(fd: int, root: int) -> None:
    """Enter a mount namespace and take root (a directory of it) for the root again.

    setns alone would put us at the namespace's own root, which a chroot had hidden.
    """
    setns(fd, CLONE_NEWNS)
    os.fchdir(root)
    os.chroot(".")


def prctl(option: int, arg: int | bytes = 0, arg3: int = 0) -> None:
    value = ctypes.c_char_p(arg) if isinstance(arg, bytes) else ctypes.c_ulong(arg)
    zero = ctypes.c_ulong(0)
    _check(_libc.prctl(option, value, ctypes.c_ulong(arg3), zero, zero), f"prctl {option}")


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    _check(
        _libc.mount(
            source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode()
        ),
        target,
    )


def umount(target: str, flags: int = MNT_DETACH) -> None:
    _check(_libc.umount2(target.encode(), flags), target)


def pivot_root(new_root: str, put_old: str) -> None:
    _check(_call("pivot_root", new_root.encode(), put_old.encode()), new_root)


def open_tree(path: str, flags: int, at: int = AT_FDCWD) -> int:
    """A mount as a descriptor; with OPEN_TREE_CLONE a detached copy of it."""
    return _check(_call("open_tree", at, path.encode(), flags | OPEN_TREE_CLOEXEC), path)


def attach_mount(tree: int, target: int) -> None:
    """Attach a detached mount onto what the descriptor target refers to."""
    flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH
    _check(_call("move_mount", tree, b"", target, b"", flags), "move_mount")


def mount_setattr(
    tree: int, *, set_flags: int = 0, clear_flags: int = 0, propagation: int = 0, recursive: bool
) -> None:
    """Change the attributes of a mount that is given by a descriptor."""
    attr = ctypes.create_string_buffer(struct.pack("=4Q", set_flags, clear_flags, propagation, 0))
    flags = AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    _check(_call("mount_setattr", tree, b"", flags, attr, 32), "mount_setattr")


def new_filesystem(kind: str, options: dict[str, str], attributes: int) -> int:
    """A detached mount of a fresh file system, as a descriptor; an option of "" is a flag."""
    context = _check(_call("fsopen", kind.encode(), FSOPEN_CLOEXEC), kind)
    try:
        for key, value in options.items():
            what = FSCONFIG_SET_STRING if value else FSCONFIG_SET_FLAG
            text = value.encode() if value else None
            _check(_call("fsconfig", context, what, key.encode(), text, 0), f"{kind} {key}={value}")
        _check(_call("fsconfig", context, FSCONFIG_CMD_CREATE, None, None, 0), kind)
        return _check(_call("fsmount", context, FSMOUNT_CLOEXEC, attributes), kind)
    finally:
        os.close(context)


def openat2(at: int, path: str, flags: int, resolve: int, mode: int = 0) -> int:
    """Open path by the kernel's rules of resolving; EAGAIN (a rename raced) is retried."""
    how = ctypes.create_string_buffer(struct.pack("=3Q", flags | os.O_CLOEXEC, mode, resolve))
    while True:
        result = _call("openat2", at, path.encode(), how, 24)
        if result >= 0 or ctypes.get_errno() != errno.EAGAIN:
            return _check(result, path)


def close_from(first: int) -> None:
    """Close every descriptor from first on."""
    _check(_call("close_range", first, 0xFFFFFFFF, 0), "close_range")


def execveat(fd: int, args: list[str], env: dict[str, str]) -> None:
    """Execute the file that fd is open on."""
    argv = (ctypes.c_char_p * (len(args) + 1))(*[a.encode() for a in args], None)
    pairs = [f"{key}={value}".encode() for key, value in env.items()]
    envp = (ctypes.c_char_p * (len(pairs) + 1))(*pairs, None)
    _check(_call("execveat", fd, b"", argv, envp, AT_EMPTY_PATH), args[0])


def set_capabilities(permitted: int, effective: int, inheritable: int) -> None:
    """Masks by capability number, for the calling process."""
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0))
    low, high = 0xFFFFFFFF, 32
    masks = (effective, permitted, inheritable)
    data = struct.pack("=6I", *[m & low for m in masks], *[m >> high for m in masks])
    _check(_call("capset", header, ctypes.create_string_buffer(data)), "capset")


def install_seccomp(program: bytes) -> None:
    """Install a cBPF filter given as packed `struct sock_filter`s of 8 bytes."""
    code = ctypes.create_string_buffer(program, len(program))
    fprog = struct.pack("=HxxxxxxQ", len(program) // 8, ctypes.addressof(code))
    _check(
        _call("seccomp", SECCOMP_SET_MODE_FILTER, 0, ctypes.create_string_buffer(fprog)), "seccomp"
    )


def bpf(command: int, attributes: bytes) -> int:
    """The bpf call; pointers inside attributes must stay valid during it."""
    data = ctypes.create_string_buffer(attributes, len(attributes))
    return _check(_call("bpf", command, data, len(attributes)), f"bpf {command}")


def set_title(title: str) -> None:
    """What ps shows for this process: written over its argument area, as setproctitle(3) does.

    The kernel shows a title up to its NUL when the last byte of the area is not NUL
    (fs/proc/base.c, get_mm_cmdline).
    """
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    start, end = int(fields[45]), int(fields[46])  # arg_start and arg_end: fields 48 and 49.
    room = end - start
    text = title.encode()[: room - 2]
    if room > 2:
        ctypes.memmove(start, text + b"\0" * (room - len(text) - 1) + b" ", room)
    prctl(PR_SET_NAME, title.removeprefix("tiphys: ").encode()[:15])
