"""What the whole machine uses, from /proc: what a node's capacity is compared with.

A local node shares its machine with the others of the profile, so each shows the machine's.
Upstream: cadvisor's root container.
"""

from dataclasses import dataclass
from typing import Final

from tiphys.kubelet.usage.cgroup_usage import read_text
from tiphys.kubelet.usage.cgroup_v1 import TICK_NANOSECONDS

# Columns of /proc/stat that are work: user nice system (idle iowait) irq softirq steal.
_BUSY: Final = (0, 1, 2, 5, 6, 7)


@dataclass(frozen=True, slots=True)
class MachineUsage:
    """CPU time in nanoseconds since boot, memory in bytes."""

    cpu_nanoseconds: int
    memory_bytes: int
    working_set_bytes: int
    available_bytes: int
    rss_bytes: int
    swap_bytes: int
    swap_total_bytes: int
    page_faults: int
    major_page_faults: int
    boot_seconds: int


def parse(stat: str, meminfo: str, vmstat: str) -> MachineUsage:
    """From the texts of /proc/stat, /proc/meminfo and /proc/vmstat. Source: man 5 proc."""
    ticks = [int(word) for word in stat.partition("\n")[0].split()[1:] if word.isdigit()]
    rows = (line.partition(":") for line in meminfo.splitlines())
    memory = {name: int(rest.split()[0]) * 1024 for name, _, rest in rows if rest.split()}
    faults = dict(line.split(" ", 1) for line in vmstat.splitlines() if " " in line)
    total, free = memory.get("MemTotal", 0), memory.get("MemFree", 0)
    available = memory.get("MemAvailable", free)
    swap_total = memory.get("SwapTotal", 0)
    boot = next((line for line in stat.splitlines() if line.startswith("btime ")), "btime 0")
    return MachineUsage(
        cpu_nanoseconds=sum(ticks[at] for at in _BUSY if at < len(ticks)) * TICK_NANOSECONDS,
        memory_bytes=total - free,
        working_set_bytes=total - available,
        available_bytes=available,
        rss_bytes=memory.get("AnonPages", 0),
        swap_bytes=swap_total - memory.get("SwapFree", 0),
        swap_total_bytes=swap_total,
        page_faults=int(faults.get("pgfault", 0)),
        major_page_faults=int(faults.get("pgmajfault", 0)),
        boot_seconds=int(boot.split()[1]),
    )


def read_machine_usage() -> MachineUsage:
    texts = (read_text(f"/proc/{name}") for name in ("stat", "meminfo", "vmstat"))
    return parse(*texts)
