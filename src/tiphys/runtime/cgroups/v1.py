"""cgroup v1 and hybrid: one directory per controller. Source: kernel admin-guide/cgroup-v1."""

import contextlib
import os
from itertools import groupby
from typing import Any, Final

from tiphys.runtime.cgroups.devices import v1_lines
from tiphys.runtime.cgroups.interface import (
    Usage,
    read_number,
    read_pairs,
    read_pids,
    read_text,
    remove_tree,
    write,
)

# cpuset is joined only on request: a fresh cpuset group takes no process before it is set up.
CONTROLLERS: Final = ("memory", "cpu", "cpuacct", "pids", "devices", "freezer", "blkio")
UNLIMITED_BYTES: Final = 1 << 62  # The kernel shows "no limit" as a number near 2**63.


class CgroupsV1:
    """See Cgroups. Controllers that are not mounted are left out."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.controllers = tuple(c for c in CONTROLLERS if os.path.isdir(f"{root}/{c}"))
        # Where hierarchies are; co-mounted controllers (cpu,cpuacct) are named once.
        mounts = {os.path.realpath(f"{root}/{c}"): f"{root}/{c}" for c in self.controllers}
        self._mounts = list(mounts.values())

    def directories(self, path: str) -> list[str]:
        cpuset = f"{self.root}/cpuset/{path}"
        found = [f"{mount}/{path}" for mount in self._mounts]
        return [*found, cpuset] if os.path.isdir(cpuset) else found

    def create(self, path: str, resources: dict[str, Any]) -> None:
        if resources.get("cpu", {}).get("cpus") or resources.get("cpu", {}).get("mems"):
            self._create_cpuset(path)
        for directory in self.directories(path):
            os.makedirs(directory, exist_ok=True)
        for allowed, lines in groupby(v1_lines(resources.get("devices")), lambda line: line[1]):
            name = "devices.allow" if allowed else "devices.deny"
            write(f"{self.root}/devices/{path}", name, *[line for line, _ in lines])
        self.update(path, resources)

    def update(self, path: str, resources: dict[str, Any]) -> None:
        cpu, memory = resources.get("cpu", {}), resources.get("memory", {})
        at = f"{self.root}/{{}}/{path}".format
        if cpu.get("shares"):
            write(at("cpu"), "cpu.shares", str(max(2, cpu["shares"])))
        if cpu.get("period"):
            write(at("cpu"), "cpu.cfs_period_us", str(cpu["period"]))
        if cpu.get("quota"):
            write(at("cpu"), "cpu.cfs_quota_us", str(cpu["quota"]))
        for key in ("cpus", "mems"):
            if cpu.get(key):
                write(at("cpuset"), f"cpuset.{key}", cpu[key])
        if memory.get("limit"):
            self._limit_memory(at("memory"), memory["limit"], memory.get("swap", 0))
        if resources.get("pids", {}).get("limit"):
            write(at("pids"), "pids.max", str(resources["pids"]["limit"]))

    def _limit_memory(self, directory: str, limit: int, swap: int) -> None:
        # Memory plus swap may never be below memory, so the order depends on the direction.
        files = [("memory.limit_in_bytes", limit)]
        if os.path.exists(f"{directory}/memory.memsw.limit_in_bytes"):
            files.append(("memory.memsw.limit_in_bytes", swap or limit))
            if limit > read_number(directory, "memory.limit_in_bytes"):
                files.reverse()
        for name, value in files:
            write(directory, name, str(value))

    def _create_cpuset(self, path: str) -> None:
        directory = f"{self.root}/cpuset"
        for part in path.split("/"):
            parent, directory = directory, f"{directory}/{part}"
            os.makedirs(directory, exist_ok=True)
            for name in ("cpuset.cpus", "cpuset.mems"):
                if not read_text(directory, name).strip():
                    write(directory, name, read_text(parent, name))

    def procs_files(self, path: str) -> list[str]:
        # A thread that moves itself by `tasks` is spared the global lock of cgroup.procs, which
        # costs an RCU grace period (6 ms here); the process that joins has one thread.
        return [f"{directory}/tasks" for directory in self.directories(path)]

    def mounts(self, path: str) -> dict[str, str]:
        return {os.path.basename(d[: -len(path) - 1]): d for d in self.directories(path)}

    def pids(self, path: str) -> list[int]:
        return read_pids(f"{self.root}/freezer/{path}") or read_pids(f"{self.root}/pids/{path}")

    def oom_kills(self, path: str) -> int:
        return read_pairs(f"{self.root}/memory/{path}", "memory.oom_control").get("oom_kill", 0)

    def usage(self, path: str) -> Usage:
        memory = f"{self.root}/memory/{path}"
        stat = read_pairs(memory, "memory.stat")
        used = read_number(memory, "memory.usage_in_bytes")
        limit = read_number(memory, "memory.limit_in_bytes")
        return Usage(
            cpu_nanoseconds=read_number(f"{self.root}/cpuacct/{path}", "cpuacct.usage"),
            memory_bytes=used,
            working_set_bytes=max(0, used - stat.get("total_inactive_file", 0)),
            rss_bytes=stat.get("total_rss", 0),
            memory_limit_bytes=0 if limit > UNLIMITED_BYTES else limit,
            page_faults=stat.get("total_pgfault", 0),
            major_page_faults=stat.get("total_pgmajfault", 0),
            process_count=read_number(f"{self.root}/pids/{path}", "pids.current"),
        )

    def remove(self, path: str) -> bool:
        with contextlib.suppress(OSError):
            write(f"{self.root}/freezer/{path}", "freezer.state", "THAWED")
        removed = [remove_tree(directory) for directory in self.directories(path)]  # Try them all.
        return all(removed)
