"""What the runtime asks of control groups, whichever version the machine has.

Paths are relative to the mount ("tiphys/p/kubepods/burstable/podUID/CONTAINER"). Resources have
the shape of the OCI runtime spec's `linux.resources`. Everything is synchronous: these are writes
of a few bytes to the kernel. The shim imports this package, so it imports little (no dataclasses:
they bring inspect, ast and dis along).

Source: OCI runtime-spec config-linux.md; Upstream: pkg/kubelet/cm (cgroupfs names).
"""

import os
from typing import Any, Final, NamedTuple, Protocol

ROOT: Final = "/sys/fs/cgroup"


class Usage(NamedTuple):
    """What a group has used; memory in bytes, `memory_limit_bytes` 0 when unlimited."""

    cpu_nanoseconds: int
    memory_bytes: int
    working_set_bytes: int
    rss_bytes: int
    memory_limit_bytes: int
    page_faults: int
    major_page_faults: int
    process_count: int


class Cgroups(Protocol):
    """One implementation per version."""

    def create(self, path: str, resources: dict[str, Any]) -> None:
        """Make the group with its parents and set its limits."""
        ...

    def update(self, path: str, resources: dict[str, Any]) -> None:
        """Change the limits that resources names."""
        ...

    def procs_files(self, path: str) -> list[str]:
        """Files that a process writes "0" to in order to join."""
        ...

    def directories(self, path: str) -> list[str]:
        """Where the group is, controller by controller."""
        ...

    def mounts(self, path: str) -> dict[str, str]:
        """What a container sees at /sys/fs/cgroup: directories by name, {"": ...} for v2."""
        ...

    def pids(self, path: str) -> list[int]: ...

    def oom_kills(self, path: str) -> int:
        """How many processes the kernel killed for want of memory."""
        ...

    def usage(self, path: str) -> Usage: ...

    def remove(self, path: str) -> bool:
        """Remove the group and those below it; False while it still holds processes."""
        ...


def child_path(root: str, parent: str, name: str) -> str:
    """The group of a container: the profile's root, the parent that the kubelet gave, the id.

    Raises: ValueError when parent leaves the root.
    """
    parts = [part for part in parent.split("/") if part]
    root_parts = [part for part in root.split("/") if part]
    if parts[: len(root_parts)] == root_parts:
        parts = parts[len(root_parts) :]
    if any(part in (".", "..") for part in [*parts, name]) or not name or "/" in name:
        raise ValueError(f"cgroup parent {parent!r} is not a plain path")
    return "/".join([*root_parts, *parts, name])


def write(directory: str, name: str, *values: str) -> None:
    """Write each value to a file of the kernel. Raises: OSError naming file and value."""
    path = f"{directory}/{name}"
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        for value in values:
            try:
                os.write(fd, value.encode())
            except OSError as exc:
                raise OSError(exc.errno, f"{exc.strerror} (writing {value!r})", path) from exc
    finally:
        os.close(fd)


def read_text(directory: str, name: str) -> str:
    try:
        with open(f"{directory}/{name}") as file:
            return file.read()
    except OSError:
        return ""


def read_number(directory: str, name: str) -> int:
    text = read_text(directory, name).strip()
    return int(text) if text.isdigit() else 0


def read_pairs(directory: str, name: str) -> dict[str, int]:
    """`key number` lines, as in memory.stat."""
    rows = (line.split() for line in read_text(directory, name).splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}


def read_pids(directory: str) -> list[int]:
    return [int(pid) for pid in read_text(directory, "cgroup.procs").split()]


def remove_tree(directory: str) -> bool:
    """Remove a group's directory and those below; False when the kernel says busy."""
    try:
        for entry in os.scandir(directory):
            if entry.is_dir(follow_symlinks=False) and not remove_tree(entry.path):
                return False
        os.rmdir(directory)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def detect(root: str = ROOT) -> Cgroups:
    """The implementation for what is mounted at root (v1 and hybrid: v1 holds the controllers)."""
    if os.path.exists(f"{root}/cgroup.controllers"):
        from tiphys.runtime.cgroups.v2 import CgroupsV2

        return CgroupsV2(root)
    from tiphys.runtime.cgroups.v1 import CgroupsV1

    return CgroupsV1(root)
