"""The cgroup above a pod's containers, with the pod's own bounds.

cgroup v1 (one tree per controller) and v2. Without rights to cgroups, pods run all the same: the
runtime makes what it needs. Upstream: pkg/kubelet/cm/pod_container_manager_linux.go.
"""

import contextlib
import logging
from pathlib import Path
from typing import Final

from tiphys.api.meta import Obj
from tiphys.kubelet.cgroups import CPU_PERIOD_US, pod_cgroup, pod_resources

log = logging.getLogger(__name__)

V1_CONTROLLERS: Final = ("cpu", "memory", "pids")
CPU_WEIGHT_MAX: Final = 10_000


def v2_files(resources: dict[str, int]) -> dict[str, str]:
    """File contents for a unified hierarchy. Source: kernel cgroup-v2.rst."""
    shares = resources.get("cpu_shares", 2)
    # Upstream's formula between the ranges 2..262144 and 1..10000.
    weight = min(1 + (shares - 2) * 9999 // 262142, CPU_WEIGHT_MAX)
    files = {"cpu.weight": str(max(1, weight))}
    if quota := resources.get("cpu_quota"):
        files["cpu.max"] = f"{quota} {resources['cpu_period']}"
    if memory := resources.get("memory_limit_in_bytes"):
        files["memory.max"] = str(memory)
    return files


def v1_files(resources: dict[str, int]) -> dict[str, dict[str, str]]:
    """File contents by controller."""
    cpu = {"cpu.shares": str(resources.get("cpu_shares", 2))}
    if quota := resources.get("cpu_quota"):
        cpu |= {
            "cpu.cfs_period_us": str(resources["cpu_period"]),
            "cpu.cfs_quota_us": str(quota),
        }
    memory = {}
    if limit := resources.get("memory_limit_in_bytes"):
        memory["memory.limit_in_bytes"] = str(limit)
    return {"cpu": cpu, "memory": memory, "pids": {}}


class PodCgroups:
    """`mount_point` is /sys/fs/cgroup; root is where kubepods begins."""

    def __init__(self, mount_point: Path, root: str) -> None:
        self._mount_point = mount_point
        self._root = root
        self._unified = (mount_point / "cgroup.controllers").exists()

    def bound(self, cpus: int, memory: int) -> None:
        """What all pods of the node may use together; 0: no bound.

        Not for a node that is the machine itself; an earlier bound is taken away again.
        Upstream: node_container_manager_linux.go, enforceNodeAllocatableCgroups.
        """
        path = self._root.strip("/")
        if not path:
            return
        try:
            if self._unified:
                quota = f"{cpus * CPU_PERIOD_US} {CPU_PERIOD_US}" if cpus else "max"
                self._write(
                    self._delegated(path), {"cpu.max": quota, "memory.max": str(memory or "max")}
                )
            else:
                quota = str(cpus * CPU_PERIOD_US) if cpus else "-1"
                self._write(
                    self._mount_point / "cpu" / path,
                    {"cpu.cfs_period_us": str(CPU_PERIOD_US), "cpu.cfs_quota_us": quota},
                )
                limit = {"memory.limit_in_bytes": str(memory or -1)}
                self._write(self._mount_point / "memory" / path, limit)
        except OSError as exc:
            log.warning("node cgroup not bounded", extra={"path": path, "why": str(exc)})

    def create(self, pod: Obj) -> None:
        """Make the pod's cgroup and set its bounds. Idempotent; failures are told once."""
        path = pod_cgroup(self._root, pod).lstrip("/")
        resources = pod_resources(pod)
        try:
            if self._unified:
                self._write(self._delegated(path), v2_files(resources))
            else:
                for controller, files in v1_files(resources).items():
                    self._write(self._mount_point / controller / path, files)
        except OSError as exc:
            log.warning("pod cgroup not made", extra={"path": path, "why": str(exc)})

    def _delegated(self, path: str) -> Path:
        """Each level passes the controllers on to the next."""
        current = self._mount_point
        for part in Path(path).parts:
            with contextlib.suppress(OSError):
                (current / "cgroup.subtree_control").write_text("+cpu +memory +pids")
            current = current / part
            current.mkdir(exist_ok=True)
        with contextlib.suppress(OSError):
            (current / "cgroup.subtree_control").write_text("+cpu +memory +pids")
        return current

    def _write(self, folder: Path, files: dict[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text)

    def remove(self, pod: Obj) -> None:
        """Idempotent; a cgroup that is still in use stays."""
        path = pod_cgroup(self._root, pod).lstrip("/")
        roots = (
            [self._mount_point]
            if self._unified
            else [p for p in self._mount_point.iterdir() if p.is_dir() and not p.is_symlink()]
        )
        for root in roots:
            _remove_tree(root / path)


def _remove_tree(folder: Path) -> None:
    """Cgroups are removed from the deepest up; their files go with them."""
    if not folder.is_dir():
        return
    for child in folder.iterdir():
        if child.is_dir():
            _remove_tree(child)
    with contextlib.suppress(OSError):
        folder.rmdir()
