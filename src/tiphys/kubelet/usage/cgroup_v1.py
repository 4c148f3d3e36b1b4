"""cgroup v1 and hybrid: one tree per controller. Source: kernel admin-guide/cgroup-v1."""

from collections.abc import Mapping
from typing import Final

from tiphys.kubelet.usage.accounting import limit, number, pairs

# Files by controller.
BRIEF: Final = {
    "cpuacct": ("cpuacct.usage",),
    "memory": (
        "memory.usage_in_bytes",
        "memory.stat",
        "memory.memsw.usage_in_bytes",
        "memory.limit_in_bytes",
        "memory.memsw.limit_in_bytes",
    ),
}
FILES: Final = {
    "cpuacct": ("cpuacct.usage", "cpuacct.stat"),
    "cpu": ("cpu.stat", "cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.shares"),
    "memory": (
        *BRIEF["memory"],
        "memory.max_usage_in_bytes",
        "memory.soft_limit_in_bytes",
        "memory.kmem.usage_in_bytes",
        "memory.failcnt",
        "memory.oom_control",
    ),
    "pids": ("pids.current", "pids.max"),
}
TICK_NANOSECONDS: Final = 10_000_000  # USER_HZ is 100 on every architecture that we run on.


def parse(files: Mapping[str, str]) -> dict[str, int]:
    """The fields of CgroupUsage from the contents of files by name; a missing file is zero."""
    return _cpu(files) | _memory(files)


def _cpu(files: Mapping[str, str]) -> dict[str, int]:
    ticks, throttling = pairs(files.get("cpuacct.stat", "")), pairs(files.get("cpu.stat", ""))
    quota = number(files.get("cpu.cfs_quota_us", ""))
    return {
        "cpu_nanoseconds": number(files.get("cpuacct.usage", "")),
        "cpu_user_nanoseconds": ticks.get("user", 0) * TICK_NANOSECONDS,
        "cpu_system_nanoseconds": ticks.get("system", 0) * TICK_NANOSECONDS,
        "cfs_periods": throttling.get("nr_periods", 0),
        "cfs_throttled_periods": throttling.get("nr_throttled", 0),
        "cfs_throttled_nanoseconds": throttling.get("throttled_time", 0),
        "cpu_quota_us": max(0, quota),
        "cpu_period_us": number(files.get("cpu.cfs_period_us", "")),
        "cpu_shares": number(files.get("cpu.shares", "")),
        "thread_count": number(files.get("pids.current", "")),
        "thread_limit": number(files.get("pids.max", "")),
    }


def _memory(files: Mapping[str, str]) -> dict[str, int]:
    stat = pairs(files.get("memory.stat", ""))
    used = number(files.get("memory.usage_in_bytes", ""))
    both = number(files.get("memory.memsw.usage_in_bytes", ""))
    memory_limit = limit(files.get("memory.limit_in_bytes", ""))
    both_limit = limit(files.get("memory.memsw.limit_in_bytes", ""))
    inactive = stat.get("total_inactive_file", 0)
    return {
        "memory_bytes": used,
        "memory_max_bytes": number(files.get("memory.max_usage_in_bytes", "")),
        "memory_limit_bytes": memory_limit,
        "memory_reservation_bytes": limit(files.get("memory.soft_limit_in_bytes", "")),
        "working_set_bytes": max(0, used - inactive),
        "rss_bytes": stat.get("total_rss", 0),
        "cache_bytes": stat.get("total_cache", 0),
        "mapped_file_bytes": stat.get("total_mapped_file", 0),
        "kernel_bytes": number(files.get("memory.kmem.usage_in_bytes", "")),
        "active_file_bytes": stat.get("total_active_file", 0),
        "inactive_file_bytes": inactive,
        "swap_bytes": max(0, both - used),
        "swap_limit_bytes": max(0, both_limit - memory_limit),
        "memory_failures": number(files.get("memory.failcnt", "")),
        "page_faults": stat.get("total_pgfault", 0),
        "major_page_faults": stat.get("total_pgmajfault", 0),
        "oom_kills": pairs(files.get("memory.oom_control", "")).get("oom_kill", 0),
    }
