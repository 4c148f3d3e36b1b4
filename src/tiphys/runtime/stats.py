"""CRI's statistics of containers and pods, read from cgroups and the container's files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tiphys.lib.disk_usage import disk_usage
from tiphys.runtime.node import Node
from tiphys.runtime.records import READY, RUNNING, Container, Sandbox
from tiphys.runtime.sandboxes import Sandboxes
from tiphys.runtime.selectors import labels_match

RATE_NANOSECONDS_MIN: Final = 1_000_000_000  # A rate over a shorter time says little.
GROUPS_MAX: Final = 10_000
Call = Mapping[str, Any]
Answer = dict[str, Any]


class Stats:
    def __init__(self, node: Node, sandboxes: Sandboxes) -> None:
        self._node = node
        self._sandboxes = sandboxes
        self._last: dict[str, tuple[int, int]] = {}  # By group: when, and CPU time used until then.

    async def container(self, request: Call) -> Answer:
        return {"stats": self._container(self._node.container(request.get("container_id", "")))}

    async def containers(self, request: Call) -> Answer:
        wanted = request.get("filter") or {}
        return {
            "stats": [
                self._container(container)
                for container in self._node.records.containers.values()
                if container.state == RUNNING
                and container.id.startswith(wanted.get("id", ""))
                and container.sandbox_id.startswith(wanted.get("pod_sandbox_id", ""))
                and labels_match(wanted.get("label_selector"), container.config.get("labels"))
            ]
        }

    async def sandbox(self, request: Call) -> Answer:
        return {"stats": self._sandbox(self._node.sandbox(request.get("pod_sandbox_id", "")))}

    async def sandboxes(self, request: Call) -> Answer:
        wanted = request.get("filter") or {}
        return {
            "stats": [
                self._sandbox(sandbox)
                for sandbox in self._node.records.sandboxes.values()
                if sandbox.state == READY
                and sandbox.id.startswith(wanted.get("id", ""))
                and labels_match(wanted.get("label_selector"), sandbox.config.get("labels"))
            ]
        }

    def _container(self, container: Container) -> Answer:
        now = self._node.now()
        directory = self._node.config.container_dir(container.id)
        used, inodes = disk_usage(Path(directory, "upper"))
        found: Answer = {
            "attributes": {
                "id": container.id,
                "metadata": container.metadata,
                "labels": container.config.get("labels") or {},
                "annotations": container.config.get("annotations") or {},
            },
            "writable_layer": {
                "timestamp": now,
                "fs_id": {"mountpoint": directory},
                "used_bytes": {"value": used},
                "inodes_used": {"value": inodes},
            },
        }
        if container.state == RUNNING:
            found |= self._usage(container.cgroup, now)
            del found["process"]
        return found

    def _usage(self, cgroup: str, now: int) -> Answer:
        usage = self._node.cgroups.usage(cgroup)
        cores = self._nano_cores(cgroup, now, usage.cpu_nanoseconds)
        memory: Answer = {
            "timestamp": now,
            "working_set_bytes": {"value": usage.working_set_bytes},
            "usage_bytes": {"value": usage.memory_bytes},
            "rss_bytes": {"value": usage.rss_bytes},
            "page_faults": {"value": usage.page_faults},
            "major_page_faults": {"value": usage.major_page_faults},
        }
        if usage.memory_limit_bytes:
            free = max(0, usage.memory_limit_bytes - usage.working_set_bytes)
            memory["available_bytes"] = {"value": free}
        return {
            "cpu": {
                "timestamp": now,
                "usage_core_nano_seconds": {"value": usage.cpu_nanoseconds},
                "usage_nano_cores": cores,
            },
            "memory": memory,
            "process": {"timestamp": now, "process_count": {"value": usage.process_count}},
        }

    def _nano_cores(self, cgroup: str, now: int, used: int) -> Answer | None:
        """CPU used per second since the last question about this group; None the first time."""
        last = self._last.get(cgroup)
        if last is not None and now - last[0] < RATE_NANOSECONDS_MIN:
            last = None
        else:
            self._last[cgroup] = (now, used)
        if len(self._last) > GROUPS_MAX:
            self._last.clear()
        if last is None or used < last[1]:
            return None
        return {"value": (used - last[1]) * 1_000_000_000 // (now - last[0])}

    def _sandbox(self, sandbox: Sandbox) -> Answer:
        now = self._node.now()
        containers = [c for c in self._node.records.containers_of(sandbox.id) if c.state == RUNNING]
        linux: Answer = {"containers": [self._container(c) for c in containers]}
        if group := self._sandboxes.cgroup_of(sandbox):
            linux |= self._usage(group, now)
        if counters := interface_counters(sandbox.shim.get("pid", 0)):
            linux["network"] = {"timestamp": now, "default_interface": counters}
        return {
            "attributes": {
                "id": sandbox.id,
                "metadata": sandbox.metadata,
                "labels": sandbox.config.get("labels") or {},
                "annotations": sandbox.config.get("annotations") or {},
            },
            "linux": linux,
        }


def interface_counters(pid: int, name: str = "eth0") -> Answer | None:
    """Counters of an interface in the network namespace of pid. Source: man 5 proc_pid_net."""
    try:
        with open(f"/proc/{pid}/net/dev") as file:
            lines = file.read().splitlines()
    except OSError:
        return None
    for line in lines:
        label, _, rest = line.partition(":")
        if label.strip() == name:
            numbers = [int(text) for text in rest.split()]
            keys = {"rx_bytes": 0, "rx_errors": 2, "tx_bytes": 8, "tx_errors": 10}
            return {"name": name, **{key: {"value": numbers[at]} for key, at in keys.items()}}
    return None
