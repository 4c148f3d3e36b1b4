"""/stats/summary: what pods and node use. Upstream: pkg/kubelet/server/stats/summary.go.

CPU and memory come from cgroups, so they are the same with every runtime; what a container has
written comes from the runtime, logs and volumes from the node's own directories.
"""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tiphys.api.meta import Obj, at, rfc3339, uid_of
from tiphys.cri.errors import CriError
from tiphys.kubelet.deps import Deps
from tiphys.kubelet.runtime_state import moment
from tiphys.kubelet.sandbox_config import pod_log_directory
from tiphys.kubelet.usage.cgroup_usage import CgroupUsage
from tiphys.kubelet.usage.machine_usage import MachineUsage, read_machine_usage
from tiphys.kubelet.usage.network import InterfaceCounters, read_interfaces
from tiphys.kubelet.usage.pod_usage import ContainerUsage, PodUsage
from tiphys.kubelet.usage.rates import Rates
from tiphys.lib.disk_usage import DiskUsage, disk_usage, filesystem

# Volumes whose contents are the pod's own and on the node's disk (volumestatscalculator.go).
_EPHEMERAL: Final = frozenset({"emptyDir", "configMap", "secret", "downwardAPI", "projected"})


class Summary:
    """Remembers CPU times between two questions, for the rates."""

    def __init__(self, deps: Deps, rates: Rates) -> None:
        self._deps = deps
        self._rates = rates

    async def read(self, used: Sequence[PodUsage]) -> Obj:
        now = self._deps.clock.now()
        layers = await self._layers()
        pods = [self._pod(pod, layers, now) for pod in used]
        return {"node": self._node(read_machine_usage(), now), "pods": pods}

    async def _layers(self) -> dict[str, DiskUsage]:
        """What each container has written, by its id; nothing where the runtime does not say."""
        try:
            answer = await self._deps.cri.call("ListContainerStats", {})
        except CriError:
            return {}
        return {
            at(entry, "attributes", "id", default=""): DiskUsage(
                int(at(entry, "writable_layer", "used_bytes", "value", default=0)),
                int(at(entry, "writable_layer", "inodes_used", "value", default=0)),
            )
            for entry in answer.get("stats", [])
        }

    def _cpu(self, key: str, nanoseconds: int, now: datetime) -> Obj:
        found: Obj = {"time": rfc3339(now), "usageCoreNanoSeconds": nanoseconds}
        cores = self._rates.per_second(key, self._deps.clock.monotonic(), nanoseconds)
        if cores is not None:
            found["usageNanoCores"] = cores
        return found

    def _node(self, machine: MachineUsage, now: datetime) -> Obj:
        disk = filesystem(self._deps.config.root_dir)
        time = rfc3339(now)
        memory = {
            "time": time,
            "availableBytes": machine.available_bytes,
            "usageBytes": machine.memory_bytes,
            "workingSetBytes": machine.working_set_bytes,
            "rssBytes": machine.rss_bytes,
            "pageFaults": machine.page_faults,
            "majorPageFaults": machine.major_page_faults,
        }
        swap = {
            "time": time,
            "swapAvailableBytes": machine.swap_total_bytes - machine.swap_bytes,
            "swapUsageBytes": machine.swap_bytes,
        }
        own = {"time": time, **disk}
        return {
            "nodeName": self._deps.config.node_name,
            "startTime": rfc3339(datetime.fromtimestamp(machine.boot_seconds, UTC)),
            "cpu": self._cpu("", machine.cpu_nanoseconds, now),
            "memory": memory,
            "swap": swap,
            "fs": own,
            "runtime": {"imageFs": own, "containerFs": own},
            "network": _network(read_interfaces(os.getpid()), time),
        }

    def _pod(self, used: PodUsage, layers: dict[str, DiskUsage], now: datetime) -> Obj:
        pod, time = used.pod, rfc3339(now)
        metadata = pod["metadata"]
        volumes = self._volumes(pod, time)
        containers = [self._container(used, one, layers, now) for one in used.containers]
        written = [c[part]["usedBytes"] for c in containers for part in ("rootfs", "logs")]
        written += [v["usedBytes"] for v in volumes]
        found: Obj = {
            "podRef": {k: metadata[k] for k in ("name", "namespace", "uid")},
            "startTime": at(pod, "status", "startTime"),
            "containers": containers,
            "volume": volumes,
            "ephemeral-storage": {
                "time": time,
                **filesystem(self._deps.config.root_dir),
                "usedBytes": sum(written),
            },
        }
        total = used.usage
        if total is not None:
            found |= {
                "cpu": self._cpu(used.path, total.cpu_nanoseconds, now),
                "memory": _memory(total, time),
                "swap": {"time": time, "swapUsageBytes": total.swap_bytes},
                "process_stats": {"process_count": total.thread_count},
            }
        if used.interfaces:
            found["network"] = _network(used.interfaces, time)
        return found

    def _container(
        self, pod: PodUsage, one: ContainerUsage, layers: dict[str, DiskUsage], now: datetime
    ) -> Obj:
        time, usage = rfc3339(now), one.usage
        whole = filesystem(self._deps.config.root_dir)
        logs = disk_usage(
            pod_log_directory(self._deps.config.pod_logs_dir, pod.pod) / one.container.name
        )
        layer = layers.get(one.container.id, DiskUsage(0, 0))
        swap = {"time": time, "swapUsageBytes": usage.swap_bytes}
        if usage.swap_limit_bytes:
            swap["swapAvailableBytes"] = max(0, usage.swap_limit_bytes - usage.swap_bytes)
        return {
            "name": one.container.name,
            "startTime": rfc3339(moment(one.container.started_at)),
            "cpu": self._cpu(one.path, usage.cpu_nanoseconds, now),
            "memory": _memory(usage, time),
            "swap": swap,
            "rootfs": {"time": time, **whole, **layer.fields()},
            "logs": {"time": time, **whole, **logs.fields()},
        }

    def _volumes(self, pod: Obj, time: str) -> list[Obj]:
        """The pod's volumes on the node's disk. Others are the storage's to measure."""
        root = self._deps.config.root_dir / "pods" / uid_of(pod) / "volumes"
        whole = filesystem(self._deps.config.root_dir)
        found = []
        for volume in at(pod, "spec", "volumes", default=[]):
            if _EPHEMERAL & volume.keys():
                used = disk_usage(_volume_directory(root, volume["name"]))
                found.append({"name": volume["name"], "time": time, **whole, **used.fields()})
        return found


def _volume_directory(root: Path, name: str) -> Path:
    """`<root>/<plugin>/<name>`, whichever plugin it is of."""
    try:
        found = next((p / name for p in root.iterdir() if (p / name).is_dir()), root / name)
    except OSError:
        return root / name
    return found


def _memory(usage: CgroupUsage, time: str) -> Obj:
    found: Obj = {
        "time": time,
        "usageBytes": usage.memory_bytes,
        "workingSetBytes": usage.working_set_bytes,
        "rssBytes": usage.rss_bytes,
        "pageFaults": usage.page_faults,
        "majorPageFaults": usage.major_page_faults,
    }
    if usage.memory_limit_bytes:
        found["availableBytes"] = max(0, usage.memory_limit_bytes - usage.working_set_bytes)
    return found


def _network(interfaces: Sequence[InterfaceCounters], time: str) -> Obj:
    """The first interface is the default one; a node has eth0 or what is first."""
    each: list[dict[str, Any]] = [
        {
            "name": one.name,
            "rxBytes": one.rx_bytes,
            "rxErrors": one.rx_errors,
            "txBytes": one.tx_bytes,
            "txErrors": one.tx_errors,
        }
        for one in interfaces
    ]
    default = next((one for one in each if one["name"] == "eth0"), each[0] if each else {})
    return {"time": time, **default, "interfaces": each}
