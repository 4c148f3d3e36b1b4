"""A container in the shim: its process, its log, who is attached, its exit record."""

import json
import os
import signal
import time
from typing import Any, Final

from tiphys.runtime.cgroups.interface import Cgroups
from tiphys.runtime.shim import frames, launch
from tiphys.runtime.shim.connection import Connection
from tiphys.runtime.shim.container_log import ContainerLog
from tiphys.runtime.shim.loop import READ, Loop

RECORD_RETRY_SECONDS: Final = 5.0
CGROUP_REMOVE_SECONDS: Final = 0.02  # Between tries: the kernel frees a group a moment late.
CGROUP_REMOVE_TRIES_MAX: Final = 100


class ShimContainer:
    """One started container; `on_exit(self)` is called once its exit record is on the disk."""

    def __init__(self, loop: Loop, cgroups: Cgroups, request: dict[str, Any], on_exit: Any) -> None:
        self.id: str = request["container"]
        self.cgroup: str = request["cgroup"]
        self.log = ContainerLog(request["log_path"])
        self.process: launch.Process | None = None
        self.exit_record: dict[str, Any] | None = None
        self.started_at = 0
        self.shares_pids: bool = request["pid_mode"] != "container"
        self.stdin_once: bool = request["stdin_once"]
        self._exit_file: str = request["exit_file"]
        self._loop = loop
        self._cgroups = cgroups
        self._on_exit = on_exit
        self._attached: list[Connection] = []

    def on_data(self, stream: str, data: bytes) -> None:
        self.log.write(stream, data)
        channel = frames.STDOUT if stream == "stdout" else frames.STDERR
        for connection in tuple(self._attached):
            connection.send(channel, data)

    def started(self, process: launch.Process) -> None:
        self.process = process
        self.started_at = time.time_ns()
        self._loop.watch(process.pidfd, READ, self._ended)

    def attach(self, connection: Connection) -> None:
        self._attached.append(connection)

    def detach(self, connection: Connection) -> None:
        if connection in self._attached:
            self._attached.remove(connection)

    def status(self) -> dict[str, Any]:
        """What the runtime needs to know this container again."""
        process = self.process
        return {
            "id": self.id,
            "pid": process.pid if process else 0,
            "start_ticks": process.start_ticks if process else 0,
            "started_at": self.started_at,
            "user": process.user if process else {},
            "exit": self.exit_record,
        }

    def kill(self, number: int, *, everything: bool) -> None:
        if self.process is None or self.exit_record is not None:
            return
        if everything or (number == signal.SIGKILL and self.shares_pids):
            launch.kill_all(self._cgroups.pids(self.cgroup))
        signal.pidfd_send_signal(self.process.pidfd, number)

    def remove_cgroup(self, tries: int = 0) -> None:
        if not self._cgroups.remove(self.cgroup) and tries < CGROUP_REMOVE_TRIES_MAX:
            launch.kill_all(self._cgroups.pids(self.cgroup))
            self._loop.call_later(CGROUP_REMOVE_SECONDS, lambda: self.remove_cgroup(tries + 1))

    def _ended(self, events: int) -> None:
        process = self.process
        assert process is not None
        self._loop.forget(process.pidfd)
        code = process.reap()
        oom_kills = self._cgroups.oom_kills(self.cgroup)
        launch.kill_all(self._cgroups.pids(self.cgroup))
        process.close_io()
        self.log.end()
        self.exit_record = {
            "exit_code": code,
            "finished_at": time.time_ns(),
            "started_at": self.started_at,
            "oom_killed": oom_kills > 0 and code != 0,
        }
        self._write_record()
        self.remove_cgroup()
        for connection in self._attached:
            connection.send_control({"event": "exit", "code": code})
            connection.finish()
        self._attached.clear()
        self._on_exit(self)

    def _write_record(self) -> None:
        try:
            write_durably(self._exit_file, json.dumps(self.exit_record).encode())
        except OSError:  # A full disk: what we know stays with us until there is room.
            self._loop.call_later(RECORD_RETRY_SECONDS, self._write_record)


def write_durably(path: str, data: bytes) -> None:
    """Replace path by data so that after a power cut it is there whole."""
    directory = os.path.dirname(path)
    if not os.path.isdir(directory):
        return  # The container was removed by force meanwhile.
    fd = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(f"{path}.new", path)
    at = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(at)
    finally:
        os.close(at)
