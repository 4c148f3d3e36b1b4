"""cgroup v2: one directory. Source: kernel admin-guide/cgroup-v2.rst."""

import contextlib
import os
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from tiphys.runtime.cgroups import devices
from tiphys.runtime.cgroups.interface import (
    Usage,
    read_number,
    read_pairs,
    read_pids,
    read_text,
    remove_tree,
    write,
)

CONTROLLERS: Final = ("cpu", "memory", "pids", "cpuset", "io")
PERIOD_MICROSECONDS: Final = 100_000
_UNIFIED_NAME: Final = re.compile(r"[a-z0-9]+(\.[A-Za-z0-9_]+)+$")


class CgroupsV2:
    """See Cgroups. `attach` puts a device program on a directory (a test gives its own)."""

    def __init__(
        self, root: str, attach: Callable[[str, bytes], None] = devices.attach_program
    ) -> None:
        self.root = root
        self._attach = attach

    def directories(self, path: str) -> list[str]:
        return [f"{self.root}/{path}"]

    def create(self, path: str, resources: dict[str, Any]) -> None:
        directory = f"{self.root}/{path}"
        self._delegate(path)
        os.makedirs(directory, exist_ok=True)
        if resources.get("devices") is not None:
            self._attach(directory, devices.v2_program(resources["devices"]))
        self.update(path, resources)

    def _delegate(self, path: str) -> None:
        """Switch the controllers on for the children of every group above path."""
        directory = self.root
        for part in path.split("/"):
            available = read_text(directory, "cgroup.controllers").split()
            enabled = read_text(directory, "cgroup.subtree_control").split()
            wanted = [c for c in CONTROLLERS if c in available and c not in enabled]
            if wanted:
                _enable(directory, wanted)
            directory = f"{directory}/{part}"
            os.makedirs(directory, exist_ok=True)

    def update(self, path: str, resources: dict[str, Any]) -> None:
        directory = f"{self.root}/{path}"
        for name, value in limit_files(resources).items():
            write(directory, name, value)

    def procs_files(self, path: str) -> list[str]:
        return [f"{self.root}/{path}/cgroup.procs"]

    def mounts(self, path: str) -> dict[str, str]:
        return {"": f"{self.root}/{path}"}

    def pids(self, path: str) -> list[int]:
        return read_pids(f"{self.root}/{path}")

    def oom_kills(self, path: str) -> int:
        return read_pairs(f"{self.root}/{path}", "memory.events").get("oom_kill", 0)

    def usage(self, path: str) -> Usage:
        directory = f"{self.root}/{path}"
        stat = read_pairs(directory, "memory.stat")
        used = read_number(directory, "memory.current")
        return Usage(
            cpu_nanoseconds=read_pairs(directory, "cpu.stat").get("usage_usec", 0) * 1000,
            memory_bytes=used,
            working_set_bytes=max(0, used - stat.get("inactive_file", 0)),
            rss_bytes=stat.get("anon", 0),
            memory_limit_bytes=read_number(directory, "memory.max"),
            page_faults=stat.get("pgfault", 0),
            major_page_faults=stat.get("pgmajfault", 0),
            process_count=read_number(directory, "pids.current"),
        )

    def remove(self, path: str) -> bool:
        return remove_tree(f"{self.root}/{path}")


def _enable(directory: str, controllers: Sequence[str]) -> None:
    """All at once, or else each that can be: one that cannot fails when its limit is set."""
    try:
        write(directory, "cgroup.subtree_control", " ".join(f"+{c}" for c in controllers))
    except OSError:
        for controller in controllers:
            with contextlib.suppress(OSError):
                write(directory, "cgroup.subtree_control", f"+{controller}")


def limit_files(resources: dict[str, Any]) -> dict[str, str]:
    """File names and contents for the limits in resources.

    Raises: ValueError for a name under `unified` that is not a plain file name.
    """
    cpu, memory = resources.get("cpu", {}), resources.get("memory", {})
    files: dict[str, str] = {}
    if cpu.get("shares"):
        files["cpu.weight"] = str(weight(cpu["shares"]))
    if cpu.get("quota"):
        quota = str(cpu["quota"]) if cpu["quota"] > 0 else "max"
        files["cpu.max"] = f"{quota} {cpu.get('period') or PERIOD_MICROSECONDS}"
    for key in ("cpus", "mems"):
        if cpu.get(key):
            files[f"cpuset.{key}"] = cpu[key]
    if memory.get("limit"):
        files["memory.max"] = str(memory["limit"]) if memory["limit"] > 0 else "max"
        if memory.get("swap"):
            files["memory.swap.max"] = str(max(0, memory["swap"] - memory["limit"]))
    if resources.get("pids", {}).get("limit"):
        files["pids.max"] = str(resources["pids"]["limit"])
    for name, value in resources.get("unified", {}).items():
        if not _UNIFIED_NAME.match(name):
            raise ValueError(f"{name!r} is not a cgroup file")
        files[name] = value
    return files


def weight(shares: int) -> int:
    """cpu.weight (1 to 10000) for cpu.shares (2 to 262144). Source: KEP-2254."""
    return 1 + (min(max(shares, 2), 262144) - 2) * 9999 // 262142
