"""The shim: one small process per pod, parent of the pod's containers.

It is forked by the zygote and told what to be by the first frame on the connection it inherits;
that connection then is the runtime's. It holds the containers' pipes, writes their logs, reaps
them and writes their exit records, so all that outlives the runtime, which finds it again by its
socket in the state directory. It ends on "shutdown".

Operations are control frames {"id", "op", ...}, answered by {"id", "ok"} or {"id", "error"};
"exec" and "attach" turn their connection into a stream that ends with {"event": "exit"}.
"""

import contextlib
import functools
import json
import os
import signal
import socket
import time
from collections.abc import Callable
from typing import Any, Final

from tiphys.runtime import syscalls
from tiphys.runtime.cgroups.interface import Cgroups
from tiphys.runtime.oci import process as oci_process
from tiphys.runtime.oci import terminal
from tiphys.runtime.shim import frames, launch, sandbox_namespaces
from tiphys.runtime.shim.connection import Connection
from tiphys.runtime.shim.container import ShimContainer
from tiphys.runtime.shim.loop import READ, Loop

BACKLOG_MAX: Final = 64
SHUTDOWN_POLL_SECONDS: Final = 0.005
Request = dict[str, Any]


def run(sock: socket.socket, sandbox: Request, cgroups: Cgroups) -> None:
    """Be the shim of sandbox until it is shut down. Failing to set up is reported on sock."""
    try:
        shim = Shim(sandbox, cgroups)
    except OSError as exc:
        what = f"{exc.filename}: {exc.strerror}" if exc.filename else str(exc)
        sock.sendall(frames.pack_control({"id": sandbox["id"], "error": what}))
        return
    shim.adopt(sock)
    shim.loop.run()


class Shim:
    def __init__(self, sandbox: Request, cgroups: Cgroups) -> None:
        self.loop = Loop()
        self.sandbox_id: str = sandbox["sandbox_id"]
        self._cgroups = cgroups
        self._containers: dict[str, ShimContainer] = {}
        self._subscribers: list[Connection] = []
        self._streams: dict[Connection, Callable[[int, bytes], None]] = {}
        self._closers: dict[Connection, Callable[[], None]] = {}
        self._pid_namespace = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        self._socket_path: str = sandbox["socket_path"]
        self._listen()
        sandbox_namespaces.enter(sandbox)
        self._shm = self._home = -1
        if "ipc" in sandbox["namespaces"]:
            scratch, size = sandbox["scratch_dir"], sandbox["shm_bytes"]
            self._shm, self._home = sandbox_namespaces.make_shm(scratch, size)
        self._pod_init = 0
        if sandbox["shares_pids"]:
            self._pod_init = sandbox_namespaces.start_pod_init(self._pid_namespace)
        self._capabilities = own_capabilities()
        syscalls.set_title(sandbox["title"])
        self._operations: dict[str, Callable[[Connection, Request], Any]] = {
            "hello": self._hello,
            "start": self._start,
            "exec": self._exec,
            "attach": self._attach,
            "kill": self._kill,
            "reopen_log": self._reopen_log,
            "forget": self._forget,
            "shutdown": self._shutdown,
        }

    def _listen(self) -> None:
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._socket_path)
        # The directory by descriptor: a path may be longer than the 107 bytes of an address.
        directory, name = os.path.split(self._socket_path)
        at = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        listening.bind(f"/proc/self/fd/{at}/{name}")
        os.close(at)
        os.chmod(self._socket_path, 0o600)
        listening.listen(BACKLOG_MAX)
        listening.setblocking(False)
        self._listening = listening
        self.loop.watch(listening.fileno(), READ, self._accept)

    def adopt(self, sock: socket.socket) -> None:
        """Serve a connection that exists already, and say who we are."""
        connection = self._serve(sock)
        connection.send_control({"id": 0, "ok": self._hello(connection, {})})

    def _accept(self, events: int) -> None:
        with contextlib.suppress(BlockingIOError):
            self._serve(self._listening.accept()[0])

    def _serve(self, sock: socket.socket) -> Connection:
        return Connection(self.loop, sock, self._on_frame, self._on_close)

    def _on_close(self, connection: Connection) -> None:
        if connection in self._subscribers:
            self._subscribers.remove(connection)
        self._streams.pop(connection, None)
        if closer := self._closers.pop(connection, None):
            closer()

    def _on_frame(self, connection: Connection, channel: int, payload: bytes) -> None:
        if channel != frames.CONTROL:
            if stream := self._streams.get(connection):
                stream(channel, payload)
            return
        request = json.loads(payload)
        try:
            answer = self._operations[request["op"]](connection, request)
        except (OSError, KeyError, ValueError) as exc:
            self._answer_error(connection, request, str(exc))
        else:
            if answer is not None:
                connection.send_control({"id": request.get("id", 0), "ok": answer})

    def _answer_error(self, connection: Connection, request: Request, error: str) -> None:
        connection.send_control({"id": request.get("id", 0), "error": error})

    def _hello(self, connection: Connection, request: Request) -> Request:
        if connection not in self._subscribers:
            self._subscribers.append(connection)
        pid = os.getpid()
        return {
            "sandbox_id": self.sandbox_id,
            "pid": pid,
            "start_ticks": launch.start_ticks(pid),
            "containers": [c.status() for c in self._containers.values()],
        }

    def _start(self, connection: Connection, request: Request) -> None:
        spec = request["spec"]
        container = ShimContainer(self.loop, self._cgroups, request, self._exited)
        self._cgroups.create(container.cgroup, spec["linux"]["resources"])

        def started(process: launch.Process) -> None:
            container.started(process)
            self._containers[container.id] = container
            connection.send_control({"id": request["id"], "ok": container.status()})

        def failed(error: str) -> None:
            container.remove_cgroup()
            container.log.end()
            self._answer_error(connection, {"id": request["id"]}, error)

        links = {
            "procs": self._cgroups.procs_files(container.cgroup),
            "shm": self._shm,
            "home": self._home,
            "capabilities": self._capabilities,
        }
        pids = self._pid_namespace_of(request["pid_mode"])
        try:
            launch.start(
                self.loop,
                launch.Launch(
                    body=functools.partial(oci_process.run_container, spec),
                    links=links,
                    pid_namespace=pids,
                    home_pid_namespace=self._pid_namespace,
                    terminal=spec["process"]["terminal"],
                    stdin=request["stdin"],
                    on_data=container.on_data,
                    on_started=started,
                    on_failed=failed,
                ),
            )
        finally:
            if pids is not None:
                os.close(pids)

    def _pid_namespace_of(self, mode: str) -> int | None:
        """A descriptor for "node", "pod" or "target:CONTAINER"; None for "container": a new one."""
        if mode == "container":
            return None
        if mode == "node":
            return os.dup(self._pid_namespace)
        pid = self._pod_init if mode == "pod" else self._running(mode.removeprefix("target:")).pid
        return os.open(f"/proc/{pid}/ns/pid", os.O_RDONLY | os.O_CLOEXEC)

    def _running(self, container_id: str) -> launch.Process:
        container = self._containers.get(container_id)
        if container is None or container.process is None or container.exit_record is not None:
            raise ValueError(f"container {container_id} is not running")
        return container.process

    def _exec(self, connection: Connection, request: Request) -> None:
        target = self._running(request["container"])
        container = self._containers[request["container"]]
        spec = request["process"]
        kinds = (("mnt", syscalls.CLONE_NEWNS), ("cgroup", syscalls.CLONE_NEWCGROUP))
        opened = [
            (os.open(f"/proc/{target.pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC), kind)
            for name, kind in kinds
        ]
        pids = os.open(f"/proc/{target.pid}/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        links = {
            "procs": self._cgroups.procs_files(container.cgroup),
            "namespaces": opened,
            "capabilities": self._capabilities,
        }
        stream = ExecStream(self, connection)
        try:
            launch.start(
                self.loop,
                launch.Launch(
                    body=functools.partial(oci_process.run_exec, spec),
                    links=links,
                    pid_namespace=pids,
                    home_pid_namespace=self._pid_namespace,
                    terminal=spec["terminal"],
                    stdin=request["stdin"],
                    on_data=stream.on_data,
                    on_started=stream.started,
                    on_failed=lambda error: self._answer_error(connection, request, error),
                ),
            )
        finally:
            for fd in (pids, *(fd for fd, _ in opened)):
                os.close(fd)

    def open_stream(
        self,
        connection: Connection,
        on_frame: Callable[[int, bytes], None],
        on_close: Callable[[], None],
    ) -> None:
        self._streams[connection] = on_frame
        self._closers[connection] = on_close

    def _attach(self, connection: Connection, request: Request) -> Request:
        process = self._running(request["container"])
        container = self._containers[request["container"]]
        container.attach(connection)

        def on_frame(channel: int, payload: bytes) -> None:
            if channel == frames.RESIZE:
                resize(process, payload)
            elif channel == frames.STDIN and process.stdin is not None:
                if payload:
                    process.stdin.on_full = connection.pause_reading
                    process.stdin.write(payload)
                elif container.stdin_once:
                    process.stdin.end()

        def on_close() -> None:
            container.detach(connection)
            if container.stdin_once and request["stdin"] and process.stdin is not None:
                process.stdin.end()  # The one session that may write is over.

        self.open_stream(connection, on_frame, on_close)
        return {}

    def _kill(self, connection: Connection, request: Request) -> Request:
        container = self._containers.get(request["container"])
        if container is not None:
            container.kill(request["signal"], everything=request.get("all", False))
        return {}

    def _reopen_log(self, connection: Connection, request: Request) -> Request:
        self._running(request["container"])
        self._containers[request["container"]].log.reopen()
        return {}

    def _forget(self, connection: Connection, request: Request) -> Request:
        container = self._containers.get(request["container"])
        if container is not None and container.exit_record is None:
            raise ValueError(f"container {container.id} is running")
        self._containers.pop(request["container"], None)
        return {}

    def _exited(self, container: ShimContainer) -> None:
        for connection in tuple(self._subscribers):
            connection.send_control({"event": "exit", "status": container.status()})

    def _shutdown(self, connection: Connection, request: Request) -> None:
        """End what runs (by SIGTERM first, when there is grace), then end ourselves."""
        deadline = time.monotonic() + request.get("grace_seconds", 0)
        for container in self._containers.values():
            container.kill(signal.SIGTERM, everything=False)

        def when_dead() -> None:
            left = [c for c in self._containers.values() if c.exit_record is None]
            if left:
                if time.monotonic() >= deadline:
                    for container in left:
                        container.kill(signal.SIGKILL, everything=True)
                self.loop.call_later(SHUTDOWN_POLL_SECONDS, when_dead)
                return
            if self._pod_init:
                launch.kill(self._pod_init, signal.SIGKILL)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._socket_path)
            connection.send_control({"id": request["id"], "ok": {}})
            self.loop.stop()

        when_dead()


def resize(process: launch.Process, payload: bytes) -> None:
    size = json.loads(payload)
    if process.terminal >= 0:
        terminal.resize(process.terminal, size["columns"], size["rows"])


def own_capabilities() -> tuple[int, int]:
    """The kernel's last capability, and a mask of those that we can give (root may lack some)."""
    with open("/proc/sys/kernel/cap_last_cap") as file:
        last = int(file.read())
    with open("/proc/self/status") as file:
        permitted = next(line.split()[1] for line in file if line.startswith("CapPrm:"))
    return last, int(permitted, 16)


class ExecStream:
    """A process started by exec and the connection that it speaks through."""

    def __init__(self, shim: Shim, connection: Connection) -> None:
        self._shim = shim
        self._connection = connection
        self._process: launch.Process | None = None

    def on_data(self, stream: str, data: bytes) -> None:
        self._connection.send(frames.STDOUT if stream == "stdout" else frames.STDERR, data)
        if self._connection.backlogged and self._process is not None:
            self._pause(True)
            self._connection.on_drained = lambda: self._pause(False)

    def _pause(self, paused: bool) -> None:
        assert self._process is not None
        for output in self._process.outputs.values():
            output.pause(paused)

    def started(self, process: launch.Process) -> None:
        self._process = process
        if process.stdin is not None:
            process.stdin.on_full = self._connection.pause_reading
        self._shim.open_stream(self._connection, self._on_frame, self._gone)
        self._shim.loop.watch(process.pidfd, READ, self._ended)
        self._connection.send_control({"event": "started", "pid": process.pid})

    def _on_frame(self, channel: int, payload: bytes) -> None:
        process = self._process
        if process is None:
            return
        if channel == frames.RESIZE:
            resize(process, payload)
        elif channel == frames.STDIN and process.stdin is not None:
            if payload:
                process.stdin.write(payload)
            else:
                process.stdin.end()

    def _gone(self) -> None:
        """Nobody listens any more: end what was started for them."""
        process = self._process
        if process is not None and process.exit_code is None:
            for output in process.outputs.values():
                output.close()
            launch.kill(process.pid, signal.SIGKILL)

    def _ended(self, events: int) -> None:
        process = self._process
        assert process is not None
        self._shim.loop.forget(process.pidfd)
        code = process.reap()
        process.close_io()
        self._connection.send_control({"event": "exit", "code": code})
        self._connection.finish()
