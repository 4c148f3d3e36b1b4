"""cgroup v2: one tree. Source: kernel admin-guide/cgroup-v2.rst."""

from collections.abc import Mapping
from typing import Final

from tiphys.kubelet.usage.accounting import limit, number, pairs

# Files by controller: there are no trees by controller here.
BRIEF: Final = {
    "": (
        "cpu.stat",
        "memory.current",
        "memory.stat",
        "memory.swap.current",
        "memory.swap.max",
        "memory.max",
    )
}
FILES: Final = {
    "": (
        *BRIEF[""],
        "cpu.max",
        "cpu.weight",
        "memory.peak",
        "memory.low",
        "memory.events",
        "pids.current",
        "pids.max",
    )
}


def parse(files: Mapping[str, str]) -> dict[str, int]:
    """The fields of CgroupUsage from the contents of files by name; a missing file is zero."""
    return _cpu(files) | _memory(files)


def _cpu(files: Mapping[str, str]) -> dict[str, int]:
    stat = pairs(files.get("cpu.stat", ""))
    quota, _, period = files.get("cpu.max", "").strip().partition(" ")
    weight = number(files.get("cpu.weight", ""))
    return {
        "cpu_nanoseconds": stat.get("usage_usec", 0) * 1000,
        "cpu_user_nanoseconds": stat.get("user_usec", 0) * 1000,
        "cpu_system_nanoseconds": stat.get("system_usec", 0) * 1000,
        "cfs_periods": stat.get("nr_periods", 0),
        "cfs_throttled_periods": stat.get("nr_throttled", 0),
        "cfs_throttled_nanoseconds": stat.get("throttled_usec", 0) * 1000,
        "cpu_quota_us": number(quota),
        "cpu_period_us": number(period),
        "cpu_shares": shares(weight) if weight else 0,
        "thread_count": number(files.get("pids.current", "")),
        "thread_limit": number(files.get("pids.max", "")),
    }


def _memory(files: Mapping[str, str]) -> dict[str, int]:
    stat, events = pairs(files.get("memory.stat", "")), pairs(files.get("memory.events", ""))
    used, inactive = number(files.get("memory.current", "")), stat.get("inactive_file", 0)
    return {
        "memory_bytes": used,
        "memory_max_bytes": number(files.get("memory.peak", "")),
        "memory_limit_bytes": limit(files.get("memory.max", "")),
        "memory_reservation_bytes": limit(files.get("memory.low", "")),
        "working_set_bytes": max(0, used - inactive),
        "rss_bytes": stat.get("anon", 0),
        "cache_bytes": stat.get("file", 0),
        "mapped_file_bytes": stat.get("file_mapped", 0),
        "kernel_bytes": stat.get("kernel", 0),
        "active_file_bytes": stat.get("active_file", 0),
        "inactive_file_bytes": inactive,
        "swap_bytes": number(files.get("memory.swap.current", "")),
        "swap_limit_bytes": limit(files.get("memory.swap.max", "")),
        "memory_failures": events.get("max", 0),
        "page_faults": stat.get("pgfault", 0),
        "major_page_faults": stat.get("pgmajfault", 0),
        "oom_kills": events.get("oom_kill", 0),
    }


def shares(weight: int) -> int:
    """cpu.shares (2 to 262144) for cpu.weight (1 to 10000). Source: cadvisor's inverse formula."""
    return 2 + (weight - 1) * 262142 // 9999
