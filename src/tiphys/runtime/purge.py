"""Ends what a node's runtime has left running, and removes all that it has left at all.

Works when the runtime is dead and may be called again. Order matters: shims first (their end
kills their containers and frees every namespace and mount, none of which the node's mount table
shows), then what is left in the cgroups, then the cgroups, then the files.
"""

import contextlib
import os
import select
import shutil
import signal
import socket
import time
from typing import Final

from tiphys.runtime import shim_sockets, syscalls
from tiphys.runtime.cgroups.interface import Cgroups, detect
from tiphys.runtime.config import RuntimeConfig
from tiphys.runtime.shim import frames

SECONDS_MAX: Final = 10.0
GRACE_SECONDS: Final = 5.0  # Between SIGTERM and SIGKILL when a whole cluster stops.
POLL_SECONDS: Final = 0.005


def stop(config: RuntimeConfig, grace_seconds: float = GRACE_SECONDS) -> None:
    """End every container and shim, the runtime being gone; images and records stay.

    Containers get SIGTERM and, after the grace, SIGKILL; their exits are recorded.
    """
    deadline = time.monotonic() + grace_seconds + SECONDS_MAX
    asked = []
    for path, pid in shim_sockets.shims(config):
        if pid:
            with contextlib.suppress(OSError):  # It ended by itself in between.
                asked.append(_ask_to_end(path, grace_seconds))
    for sock in asked:
        with sock, contextlib.suppress(OSError):
            sock.settimeout(max(0.01, deadline - time.monotonic()))
            while sock.recv(4096):
                pass
    _end_processes(config, detect())


def _ask_to_end(path: str, grace_seconds: float) -> socket.socket:
    sock = shim_sockets.connect(path)
    request = {"id": 1, "op": "shutdown", "grace_seconds": grace_seconds}
    sock.sendall(frames.pack_control(request))
    return sock


def purge(config: RuntimeConfig) -> None:
    """Remove every trace of the runtime of config. Raises: OSError when something stays."""
    _end_processes(config, detect())
    for directory in (config.state_dir, config.root_dir):
        _unmount_below(directory)
        if os.path.isdir(directory):
            shutil.rmtree(directory)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(config.socket_path)


def _end_processes(config: RuntimeConfig, cgroups: Cgroups) -> None:
    deadline = time.monotonic() + SECONDS_MAX
    for _, pid in shim_sockets.shims(config):
        if pid:
            _end(pid, deadline)
    for path in _groups(cgroups, config.cgroup_root):
        while not cgroups.remove(path) and time.monotonic() < deadline:
            for pid in _pids_below(cgroups, path):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(POLL_SECONDS)


def _end(pid: int, deadline: float) -> None:
    """Kill a shim and wait until it is gone."""
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            ended = select.poll()  # select(2) takes no descriptor above 1023.
            ended.register(handle, select.POLLIN)
            ended.poll(max(0.0, deadline - time.monotonic()) * 1000)
        finally:
            os.close(handle)


def _groups(cgroups: Cgroups, root: str) -> list[str]:
    """The profile's group, unless it is the root of all (then nothing of it is ours alone)."""
    path = root.strip("/")
    return [path] if path and any(os.path.isdir(d) for d in cgroups.directories(path)) else []


def _pids_below(cgroups: Cgroups, path: str) -> set[int]:
    found: set[int] = set()
    for directory in cgroups.directories(path):
        for at, _, _ in os.walk(directory):
            with contextlib.suppress(OSError), open(os.path.join(at, "cgroup.procs")) as file:
                found |= {int(pid) for pid in file.read().split()}
    return found


def _unmount_below(directory: str) -> None:
    """Nothing is mounted there by us; what somebody else mounted must not be deleted into."""
    with open("/proc/self/mountinfo") as file:
        points = [line.split()[4] for line in file]
    base = os.path.realpath(directory) + "/"
    for point in sorted((p for p in points if p.startswith(base)), reverse=True):
        syscalls.umount(point, syscalls.MNT_DETACH)
