"""The namespaces of a pod. The shim lives in them, so they live as long as it does.

There is no pause process and nothing is mounted on the node: the pod's network, IPC and UTS
namespaces are the shim's own, its /dev/shm is the root of a mount namespace that only a
descriptor holds.
"""

import contextlib
import fcntl
import os
import signal
import socket
import struct
from typing import Any, Final

from tiphys.runtime import syscalls
from tiphys.runtime.shim.launch import fork_then_return

SIOCGIFFLAGS: Final = 0x8913
SIOCSIFFLAGS: Final = 0x8914
IFF_UP: Final = 1
# What every pod with a network of its own gets, as containerd since 2.0 does.
DEFAULT_SYSCTLS: Final = {
    "net.ipv4.ip_unprivileged_port_start": "0",
    "net.ipv4.ping_group_range": "0 2147483647",
}


def enter(sandbox: dict[str, Any]) -> None:
    """Make the namespaces that sandbox names ("net", "ipc", "uts") and set them up.

    Raises: OSError.
    """
    kinds = sandbox["namespaces"]
    flags = 0
    for name, flag in (
        ("net", syscalls.CLONE_NEWNET),
        ("ipc", syscalls.CLONE_NEWIPC),
        ("uts", syscalls.CLONE_NEWUTS),
    ):
        flags |= flag if name in kinds else 0
    if flags:
        syscalls.unshare(flags)
    if "uts" in kinds and sandbox["hostname"]:
        socket.sethostname(sandbox["hostname"])
    sysctls = dict(sandbox["sysctls"])
    if "net" in kinds:
        bring_up_loopback()
        sysctls = DEFAULT_SYSCTLS | sysctls
    for name, value in sysctls.items():
        write_sysctl(name, value)


def bring_up_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(sock, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def write_sysctl(name: str, value: str) -> None:
    """Set a namespaced kernel parameter. Raises: OSError."""
    path = name.replace(".", "/") if "/" not in name else name
    if ".." in path.split("/"):
        raise OSError(22, "not a sysctl", name)
    fd = syscalls.openat2(
        os.open("/proc/sys", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC),
        path,
        os.O_WRONLY,
        syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS,
    )
    with open(fd, "w") as file:
        file.write(value)


def make_shm(scratch: str, size_bytes: int) -> tuple[int, int]:
    """A mount namespace whose root is a fresh tmpfs, and the shim's own, as descriptors.

    scratch is an empty directory; nothing of the tmpfs is seen outside of the new namespace.
    """
    home = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    syscalls.unshare(syscalls.CLONE_NEWNS)
    shm = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    syscalls.mount("", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)
    flags = syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NODEV | syscalls.MOUNT_ATTR_NOEXEC
    syscalls.mount("shm", scratch, "tmpfs", flags, f"mode=1777,size={size_bytes}")
    os.chdir(scratch)
    syscalls.pivot_root(".", ".")
    syscalls.umount(".", syscalls.MNT_DETACH)
    syscalls.enter_mount_namespace(home, root)
    os.close(root)
    return shm, home


def start_pod_init(home_pid_namespace: int) -> int:
    """For pods that share a PID namespace: its process 1, which only reaps. Returns the pid."""
    syscalls.unshare(syscalls.CLONE_NEWPID)
    pid = fork_then_return(home_pid_namespace)
    if pid == 0:
        try:
            _reap_for_ever()
        finally:
            os._exit(1)
    return pid


def _reap_for_ever() -> None:
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    syscalls.close_from(3)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    while True:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        signal.sigwait({signal.SIGCHLD})
