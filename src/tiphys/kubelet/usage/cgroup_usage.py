"""What one cgroup has used and may use, whichever version of cgroups the kernel has.

Upstream: vendored cadvisor container/libcontainer/handler.go, info/v1/container.go.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from tiphys.kubelet.usage import cgroup_v1, cgroup_v2

FILE_BYTES_MAX: Final = 64 * 1024  # More than any accounting file of the kernel has.


@dataclass(frozen=True, slots=True)
class CgroupUsage:
    """Times in nanoseconds, memory in bytes; a limit of 0 is none."""

    cpu_nanoseconds: int = 0
    cpu_user_nanoseconds: int = 0
    cpu_system_nanoseconds: int = 0
    cfs_periods: int = 0
    cfs_throttled_periods: int = 0
    cfs_throttled_nanoseconds: int = 0
    cpu_quota_us: int = 0
    cpu_period_us: int = 0
    cpu_shares: int = 0
    memory_bytes: int = 0
    memory_max_bytes: int = 0
    memory_limit_bytes: int = 0
    memory_reservation_bytes: int = 0
    working_set_bytes: int = 0
    rss_bytes: int = 0
    cache_bytes: int = 0
    mapped_file_bytes: int = 0
    kernel_bytes: int = 0
    active_file_bytes: int = 0
    inactive_file_bytes: int = 0
    swap_bytes: int = 0
    swap_limit_bytes: int = 0
    memory_failures: int = 0
    page_faults: int = 0
    major_page_faults: int = 0
    oom_kills: int = 0
    thread_count: int = 0
    thread_limit: int = 0


class _Version(Protocol):
    """A module of one version: which files to read, and what they say."""

    @property
    def BRIEF(self) -> Mapping[str, tuple[str, ...]]: ...

    @property
    def FILES(self) -> Mapping[str, tuple[str, ...]]: ...

    def parse(self, files: Mapping[str, str]) -> dict[str, int]: ...


class CgroupReader:
    """Reads groups below mount_point (/sys/fs/cgroup); paths begin there too."""

    def __init__(self, mount_point: Path) -> None:
        self._mount_point = str(mount_point)
        unified = (mount_point / "cgroup.controllers").exists()
        self._version: _Version = cgroup_v2 if unified else cgroup_v1
        self._processes = str(mount_point if unified else mount_point / "memory")

    def read(self, path: str, *, brief: bool = False) -> CgroupUsage | None:
        """None where there is no such group. brief: only what /metrics/resource needs."""
        path = path.strip("/")
        wanted = self._version.BRIEF if brief else self._version.FILES
        files = {}
        for controller, names in wanted.items():
            folder = "/".join(part for part in (self._mount_point, controller, path) if part)
            for name in names:
                if text := read_text(f"{folder}/{name}"):
                    files[name] = text
        return CgroupUsage(**self._version.parse(files)) if files else None

    def processes(self, path: str) -> list[int]:
        """Process ids of the group itself."""
        text = read_text(f"{self._processes}/{path.strip('/')}/cgroup.procs")
        return [int(word) for word in text.split()]


def read_text(path: str) -> str:
    """Empty where the kernel has no such file (any more)."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read(FILE_BYTES_MAX).decode(errors="replace")
    except OSError:
        return ""
