"""What the kernel's accounting files say, by version of cgroups."""

from dataclasses import replace
from pathlib import Path

import pytest

from tiphys.kubelet.usage import cgroup_v1, cgroup_v2
from tiphys.kubelet.usage.cgroup_usage import CgroupReader, CgroupUsage

V1 = {
    "cpuacct/cpuacct.usage": "2500000000\n",
    "cpuacct/cpuacct.stat": "user 200\nsystem 50\n",
    "cpu/cpu.stat": "nr_periods 10\nnr_throttled 4\nthrottled_time 900\n",
    "cpu/cpu.cfs_quota_us": "50000\n",
    "cpu/cpu.cfs_period_us": "100000\n",
    "cpu/cpu.shares": "512\n",
    "memory/memory.usage_in_bytes": "1000\n",
    "memory/memory.max_usage_in_bytes": "1500\n",
    "memory/memory.limit_in_bytes": "4096\n",
    "memory/memory.soft_limit_in_bytes": "9223372036854771712\n",
    "memory/memory.memsw.usage_in_bytes": "1300\n",
    "memory/memory.memsw.limit_in_bytes": "6096\n",
    "memory/memory.kmem.usage_in_bytes": "70\n",
    "memory/memory.failcnt": "3\n",
    "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
    "memory/memory.stat": (
        "cache 1\nrss 2\ntotal_cache 600\ntotal_rss 300\ntotal_mapped_file 20\n"
        "total_pgfault 8\ntotal_pgmajfault 2\ntotal_inactive_file 400\ntotal_active_file 150\n"
    ),
    "pids/pids.current": "5\n",
    "pids/pids.max": "max\n",
}
V2 = {
    "cpu.stat": (
        "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\n"
        "nr_periods 10\nnr_throttled 4\nthrottled_usec 1\n"
    ),
    "cpu.max": "50000 100000\n",
    "cpu.weight": "20\n",
    "memory.current": "1000\n",
    "memory.peak": "1500\n",
    "memory.max": "4096\n",
    "memory.low": "0\n",
    "memory.swap.current": "300\n",
    "memory.swap.max": "2000\n",
    "memory.events": "low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\n",
    "memory.stat": (
        "anon 300\nfile 600\nkernel 70\nfile_mapped 20\ninactive_file 400\nactive_file 150\n"
        "pgfault 8\npgmajfault 2\n"
    ),
    "pids.current": "5\n",
    "pids.max": "max\n",
}
SEEN = CgroupUsage(
    cpu_nanoseconds=2_500_000_000,
    cpu_user_nanoseconds=2_000_000_000,
    cpu_system_nanoseconds=500_000_000,
    cfs_periods=10,
    cfs_throttled_periods=4,
    cfs_throttled_nanoseconds=900,
    cpu_quota_us=50_000,
    cpu_period_us=100_000,
    cpu_shares=512,
    memory_bytes=1000,
    memory_max_bytes=1500,
    memory_limit_bytes=4096,
    working_set_bytes=600,
    rss_bytes=300,
    cache_bytes=600,
    mapped_file_bytes=20,
    kernel_bytes=70,
    active_file_bytes=150,
    inactive_file_bytes=400,
    swap_bytes=300,
    swap_limit_bytes=2000,
    memory_failures=3,
    page_faults=8,
    major_page_faults=2,
    oom_kills=1,
    thread_count=5,
)


def tree(root: Path, files: dict[str, str], path: str = "pods/a") -> Path:
    """Files of one group, controller by controller where the names say so."""
    for name, text in files.items():
        controller, _, file = name.rpartition("/")
        folder = root / controller / path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text)
    return root


def test_v1(tmp_path: Path) -> None:
    assert CgroupReader(tree(tmp_path, V1)).read("/pods/a") == SEEN


def test_hybrid_is_read_where_the_controllers_are(tmp_path: Path) -> None:
    (tmp_path / "unified" / "pods" / "a").mkdir(parents=True)
    (tmp_path / "unified" / "cgroup.controllers").write_text("")
    assert CgroupReader(tree(tmp_path, V1)).read("pods/a") == SEEN


def test_v2(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    # The weight keeps less than the shares said, and time is in microseconds.
    seen = replace(SEEN, cpu_shares=500, cfs_throttled_nanoseconds=1000)
    assert CgroupReader(tree(tmp_path, V2)).read("pods/a") == seen


@pytest.mark.parametrize("unified", [False, True])
def test_brief_is_what_metrics_resource_shows(tmp_path: Path, unified: bool) -> None:
    if unified:
        (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    found = CgroupReader(tree(tmp_path, V2 if unified else V1)).read("pods/a", brief=True)
    assert found is not None
    assert (found.cpu_nanoseconds, found.working_set_bytes, found.swap_bytes) == (
        2_500_000_000,
        600,
        300,
    )


def test_a_group_that_is_gone_is_none(tmp_path: Path) -> None:
    assert CgroupReader(tmp_path).read("pods/b") is None


@pytest.mark.parametrize("version", [cgroup_v1, cgroup_v2])
def test_nothing_is_zero(version: object) -> None:
    parse = cgroup_v1.parse if version is cgroup_v1 else cgroup_v2.parse
    assert CgroupUsage(**parse({})) == CgroupUsage()


def test_v1_without_limits() -> None:
    unlimited = {"memory.limit_in_bytes": "9223372036854771712", "cpu.cfs_quota_us": "-1"}
    found = cgroup_v1.parse(unlimited)
    assert (found["memory_limit_bytes"], found["cpu_quota_us"]) == (0, 0)


def test_v2_without_limits() -> None:
    found = cgroup_v2.parse({"memory.max": "max\n", "cpu.max": "max 100000\n"})
    assert (found["memory_limit_bytes"], found["cpu_quota_us"]) == (0, 0)
