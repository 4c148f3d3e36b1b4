"""The last steps of a new process in a container, and what comes before them.

`run_container` and `run_exec` are called in a child that the shim forked into the right PID
namespace. They end in execve, or report {"error": ...} on the status socket and exit. On the way
they report {"user": ...} and hand the terminal's master over.

Lessons of runc's CVEs are kept in order: every descriptor but the status socket is closed and the
working directory is proved to be inside the root before execve (CVE-2024-21626); inheritable and
ambient capabilities are empty, on exec too (CVE-2022-29162).
"""

import base64
import contextlib
import errno
import json
import os
import signal
import socket
import stat
from typing import Any, Final

from tiphys.runtime import syscalls as sys
from tiphys.runtime.oci import capabilities, rootfs, terminal, users

STATUS_FD: Final = 3
FILE_BYTES_MAX: Final = 4 << 20  # /etc/passwd or /etc/group of an image.
DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class StartError(Exception):
    """Why a process could not start; the text is for the pod's status."""


def run_container(spec: dict[str, Any], links: dict[str, Any]) -> None:
    """Set up the container of spec and become its first process.

    links: `status` (socket), `stdio` (three descriptors), `procs` (cgroup files to join),
    `shm` and `home` (mount namespaces as descriptors, or -1), `capabilities` (the last
    that the kernel knows, a mask of those that can be given).
    """
    _begin(spec["process"], links)
    linux = spec["linux"]
    trees = rootfs.take_sources(spec["mounts"])
    cgroup_trees = [sys.open_tree(p, sys.OPEN_TREE_CLONE) for p in linux["cgroupMounts"].values()]
    shm = -1
    if links["shm"] >= 0:
        shm = rootfs.take_namespace_root(links["shm"], links["home"])
    rootfs.enter_new_namespaces()
    rootfs.mount_overlay(spec["root"])
    root = rootfs.Rootfs(spec["root"]["merged"])
    root.mount_kernel_filesystems(sys_writable=linux["privileged"], shm=shm)
    root.mount_cgroups(linux["cgroupMounts"], cgroup_trees, writable=linux["privileged"])
    for device in linux["devices"]:
        root.make_device(device)
    for mount, tree in zip(spec["mounts"], trees, strict=True):
        try:
            root.mount(mount, tree)
        except OSError as exc:
            what = f"{mount['source']} to {mount['destination']}"
            raise StartError(f"failed to mount {what}: {exc.strerror}") from exc
    for path in linux["maskedPaths"]:
        root.mask(path)
    for path in linux["readonlyPaths"]:
        root.make_read_only(path)
    if spec["process"]["terminal"]:
        slave = _open_terminal(root.find("dev/pts"), links["status"])
        root.bind_console(slave)
        links["stdio"] = (slave, slave, slave)
    if spec["root"]["readonly"]:
        root.make_root_read_only()
    root.pivot()
    _become(spec["process"], links, make_cwd=not spec["root"]["readonly"])


def run_exec(process: dict[str, Any], links: dict[str, Any]) -> None:
    """Become another process of a running container; links has `namespaces` to enter besides."""
    _begin(process, links)
    for fd, kind in links["namespaces"]:
        sys.setns(fd, kind)
    if process["terminal"]:
        pts = os.open("/dev/pts", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        slave = _open_terminal(pts, links["status"])
        links["stdio"] = (slave, slave, slave)
    _become(process, links, make_cwd=False)


def _begin(process: dict[str, Any], links: dict[str, Any]) -> None:
    os.setsid()
    for path in links["procs"]:
        with open(path, "w") as file:
            file.write("0")
    score = process.get("oomScoreAdj")
    if score is not None:
        # Lowering needs CAP_SYS_RESOURCE, which the machine may not give.
        with contextlib.suppress(PermissionError), open("/proc/self/oom_score_adj", "w") as file:
            file.write(str(score))


def _open_terminal(pts: int, status: socket.socket) -> int:
    master, slave = terminal.open_pair(pts)
    socket.send_fds(status, [json.dumps({"terminal": True}).encode()], [master])
    os.close(master)
    return slave


def _become(process: dict[str, Any], links: dict[str, Any], *, make_cwd: bool) -> None:
    status: socket.socket = links["status"]
    identity = _identity(process["user"])
    known = {"uid": identity.uid, "gid": identity.gid, "groups": identity.groups}
    status.send(json.dumps({"user": known}).encode())
    env = dict(pair.split("=", 1) for pair in process["env"] if "=" in pair)
    env.setdefault("PATH", DEFAULT_PATH)
    env.setdefault("HOME", identity.home)
    _take_stdio(links["stdio"], identity.uid, tty=process["terminal"])
    # The status socket becomes number 3; nothing else that we hold may reach the new program.
    if status.fileno() != STATUS_FD:
        os.dup2(status.fileno(), STATUS_FD, inheritable=False)
    links["status_moved"] = True
    sys.close_from(STATUS_FD + 1)
    _enter_directory(process["cwd"], make=make_cwd)
    _give_up_rights(process, identity, *links["capabilities"])
    _reset_signals()
    _execute(process["args"], env)


def _identity(user: dict[str, Any]) -> users.Identity:
    try:
        return users.resolve(
            user["user"],
            user["group"],
            user["additionalGids"],
            strict=user["strict"],
            passwd=_read("/etc/passwd"),
            group_file=_read("/etc/group"),
        )
    except ValueError as exc:
        raise StartError(str(exc)) from exc


def _read(path: str) -> str:
    """A file of the image; the root is already the container's own."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(path, flags)
    except OSError:
        return ""
    with open(fd, "rb") as file:
        return file.read(FILE_BYTES_MAX).decode(errors="replace")


def _take_stdio(stdio: tuple[int, int, int], uid: int, *, tty: bool) -> None:
    for number, fd in enumerate(stdio):
        if tty or stat.S_ISFIFO(os.fstat(fd).st_mode):
            os.fchown(fd, uid, -1)  # The user must be able to open /dev/stdout again.
        os.dup2(fd, number)
    if tty:
        terminal.make_controlling(0)


def _enter_directory(cwd: str, *, make: bool) -> None:
    try:
        if make:
            os.makedirs(cwd, 0o755, exist_ok=True)
        os.chdir(cwd)
    except OSError as exc:
        raise StartError(
            f"chdir to cwd ({cwd!r}) set in config.json failed: {exc.strerror}"
        ) from exc
    # Outside the root the kernel answers "(unreachable)..." or fails.
    if not os.getcwd().startswith("/"):
        raise StartError("current working directory is outside of container mount namespace root")


def _give_up_rights(
    process: dict[str, Any], identity: users.Identity, last: int, permitted: int
) -> None:
    wanted = capabilities.mask(process["capabilities"], last) & permitted
    filter_program = base64.b64decode(process["seccomp"])
    for number in range(last + 1):
        if not wanted >> number & 1:
            sys.prctl(sys.PR_CAPBSET_DROP, number)
    os.setgroups(list(identity.groups))
    os.setresgid(identity.gid, identity.gid, identity.gid)
    no_new_privs = process["noNewPrivileges"]
    if filter_program and not no_new_privs:
        sys.install_seccomp(filter_program)  # Needs CAP_SYS_ADMIN, so before it goes.
    sys.prctl(sys.PR_SET_KEEPCAPS, 1)
    os.setresuid(identity.uid, identity.uid, identity.uid)
    sys.prctl(sys.PR_SET_KEEPCAPS, 0)
    sys.prctl(sys.PR_CAP_AMBIENT, sys.PR_CAP_AMBIENT_CLEAR_ALL)
    sys.set_capabilities(permitted=wanted, effective=wanted, inheritable=0)
    sys.prctl(sys.PR_SET_PDEATHSIG, signal.SIGKILL)  # A container does not outlive its shim.
    if no_new_privs:
        sys.prctl(sys.PR_SET_NO_NEW_PRIVS, 1)
        if filter_program:
            sys.install_seccomp(filter_program)


def _reset_signals() -> None:
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.umask(0o022)


def _execute(args: list[str], env: dict[str, str]) -> None:
    name = args[0]
    if "/" in name:
        candidates = [name]
    else:
        candidates = [f"{entry or '.'}/{name}" for entry in env["PATH"].split(":")]
    denied: OSError | None = None
    for path in candidates:
        try:
            os.execve(path, args, env)
        except OSError as exc:
            if exc.errno not in (errno.ENOENT, errno.ENOTDIR):
                denied = denied or exc
    if denied is not None:
        raise StartError(f'exec: "{name}": {_go_text(denied)}')
    if "/" in name:
        raise StartError(f'exec: "{name}": stat {name}: no such file or directory')
    raise StartError(f'exec: "{name}": executable file not found in $PATH')


def _go_text(exc: OSError) -> str:
    return (exc.strerror or str(exc)).lower()
