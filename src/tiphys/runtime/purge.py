"""Removes everything that a node's runtime has left: processes, cgroups, files.

Works when the runtime is dead and may be called again. Order matters: shims first (their end
kills their containers and frees every namespace and mount, none of which the node's mount table
shows), then what is left in the cgroups, then the cgroups, then the files.
"""

import contextlib
import json
import os
import shutil
import signal
import time
from typing import Any, Final

from tiphys.runtime import syscalls
from tiphys.runtime.cgroups.interface import Cgroups, detect
from tiphys.runtime.config import RuntimeConfig
from tiphys.runtime.records import is_alive

SECONDS_MAX: Final = 10.0
POLL_SECONDS: Final = 0.005


def purge(config: RuntimeConfig) -> None:
    """Remove every trace of the runtime of config. Raises: OSError when something stays."""
    cgroups = detect()
    deadline = time.monotonic() + SECONDS_MAX
    for shim in _shims(config):
        _kill(shim)
        while is_alive(shim) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
    for path in _groups(cgroups, config.cgroup_root):
        while not cgroups.remove(path) and time.monotonic() < deadline:
            for pid in _pids_below(cgroups, path):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(POLL_SECONDS)
    for directory in (config.state_dir, config.root_dir):
        _unmount_below(directory)
        if os.path.isdir(directory):
            shutil.rmtree(directory)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(config.socket_path)


def _shims(config: RuntimeConfig) -> list[dict[str, Any]]:
    base = os.path.join(config.root_dir, "sandboxes")
    found = []
    for identity in os.listdir(base) if os.path.isdir(base) else ():
        with contextlib.suppress(OSError, ValueError, KeyError):
            with open(os.path.join(base, identity, "sandbox.json"), "rb") as file:
                shim = json.load(file)["shim"]
            if is_alive(shim):
                found.append(shim)
    return found


def _kill(shim: dict[str, Any]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(shim["pid"], signal.SIGKILL)


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
