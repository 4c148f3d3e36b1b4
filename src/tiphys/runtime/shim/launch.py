"""Forks a process into a container and follows it until its execve has happened or failed."""

import contextlib
import json
import os
import signal
import socket
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from tiphys.runtime import syscalls
from tiphys.runtime.oci.process import STATUS_FD, StartError
from tiphys.runtime.shim.loop import READ, Loop
from tiphys.runtime.shim.process_io import Input, Output

STATUS_BYTES_MAX: Final = 65536
Links = dict[str, Any]


class Process:
    """A child of the shim. `exit_code` is 128 + signal for a killed one, None while it runs."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)
        self.start_ticks = start_ticks(pid)
        self.stdin: Input | None = None
        self.outputs: dict[str, Output] = {}
        self.terminal = -1
        self.user: dict[str, Any] = {}
        self.exit_code: int | None = None

    def reap(self) -> int:
        """Wait for the process, which has ended, and close what belongs to it."""
        status = os.waitpid(self.pid, 0)[1]
        code = os.waitstatus_to_exitcode(status)
        self.exit_code = code if code >= 0 else 128 - code
        os.close(self.pidfd)
        return self.exit_code

    def close_io(self) -> None:
        for output in self.outputs.values():
            output.drain()
        if self.stdin is not None:
            self.stdin.close()
        if self.terminal >= 0:
            os.close(self.terminal)
            self.terminal = -1


class Launch(NamedTuple):
    """What `start` needs: body runs in the child; pid_namespace None means a new one."""

    body: Callable[[Links], None]
    links: Links
    pid_namespace: int | None
    home_pid_namespace: int
    terminal: bool
    stdin: bool
    on_data: Callable[[str, bytes], None]
    on_started: Callable[[Process], None]
    on_failed: Callable[[str], None]


def start(loop: Loop, launch: Launch) -> None:
    """Fork; on_started or on_failed is called later from the loop.

    Raises: OSError when there is no process or descriptor to be had.
    """
    with contextlib.ExitStack() as child_ends:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        child_ends.callback(theirs.close)
        stdio, kept = _pipes(launch, child_ends)
        links = launch.links | {"status": theirs, "stdio": stdio}
        _enter_pid_namespace(launch.pid_namespace)
        pid = fork_then_return(launch.home_pid_namespace)
        if pid == 0:
            _child(launch.body, links)
    process = Process(pid)
    if "stdin" in kept:
        process.stdin = Input(loop, kept.pop("stdin"))
    for name, fd in kept.items():
        process.outputs[name] = Output(loop, fd, _bound(launch.on_data, name))
    _follow(loop, ours, process, launch)


def fork_then_return(home_pid_namespace: int) -> int:
    """Fork into the PID namespace for children, which the parent then sets back to its own."""
    pid = -1
    try:
        pid = os.fork()
    finally:
        if pid != 0:
            syscalls.setns(home_pid_namespace, syscalls.CLONE_NEWPID)
    return pid


def _bound(on_data: Callable[[str, bytes], None], name: str) -> Callable[[bytes], None]:
    return lambda data: on_data(name, data)


def _pipes(launch: Launch, child_ends: contextlib.ExitStack) -> tuple[list[int], dict[str, int]]:
    """Descriptors 0, 1 and 2 of the child, and our ends by name."""
    kept: dict[str, int] = {}
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    child_ends.callback(os.close, null)
    if launch.terminal:
        return [null, null, null], kept
    stdio = [null]
    if launch.stdin:
        stdio[0], kept["stdin"] = os.pipe2(os.O_CLOEXEC)
        child_ends.callback(os.close, stdio[0])
    for name in ("stdout", "stderr"):
        kept[name], end = os.pipe2(os.O_CLOEXEC)
        child_ends.callback(os.close, end)
        stdio.append(end)
    return stdio, kept


def _enter_pid_namespace(namespace: int | None) -> None:
    """For children only: the shim itself stays where it is."""
    if namespace is None:
        syscalls.unshare(syscalls.CLONE_NEWPID)
    else:
        syscalls.setns(namespace, syscalls.CLONE_NEWPID)


def _child(body: Callable[[Links], None], links: Links) -> None:
    try:
        body(links)
    except StartError as exc:
        _report(links, str(exc))
    except OSError as exc:
        what = f"{exc.filename}: {exc.strerror}" if exc.filename else str(exc.strerror or exc)
        _report(links, what)
    except Exception as exc:  # noqa: BLE001  # The child's supervisor: it may only report and end.
        _report(links, f"{type(exc).__name__}: {exc}")
    finally:
        os._exit(1)


def _report(links: Links, error: str) -> None:
    fd = STATUS_FD if links.get("status_moved") else links["status"].fileno()
    with contextlib.suppress(OSError):
        os.write(fd, json.dumps({"error": error}).encode())


def _follow(loop: Loop, status: socket.socket, process: Process, launch: Launch) -> None:
    status.setblocking(False)
    errors: list[str] = []

    def ready(events: int) -> None:
        while True:
            try:
                data, fds, _, _ = socket.recv_fds(status, STATUS_BYTES_MAX, 1)
            except BlockingIOError:
                return
            except OSError:
                data, fds = b"", []
            if not data:
                break
            message = json.loads(data)
            if fds:
                _take_terminal(loop, process, fds[0], launch)
            process.user = message.get("user", process.user)
            if "error" in message:
                errors.append(message["error"])
        loop.forget(status.fileno())
        status.close()
        if errors:
            process.close_io()
            process.reap()
            launch.on_failed(errors[0])
        else:
            launch.on_started(process)

    loop.watch(status.fileno(), READ, ready)


def _take_terminal(loop: Loop, process: Process, master: int, launch: Launch) -> None:
    os.set_inheritable(master, False)
    process.terminal = master
    process.outputs["stdout"] = Output(loop, os.dup(master), _bound(launch.on_data, "stdout"))
    if launch.stdin:
        process.stdin = Input(loop, os.dup(master))


def start_ticks(pid: int) -> int:
    """When the process started, in clock ticks since boot: with the pid it names a process."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[19])


def kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def kill_all(pids: list[int]) -> None:
    for pid in pids:
        kill(pid, signal.SIGKILL)
