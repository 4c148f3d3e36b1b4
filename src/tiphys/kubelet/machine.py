"""What the machine has, read from /proc and /sys. Upstream: vendored cadvisor machine/info.go."""

import os
import platform
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}


@dataclass(frozen=True, slots=True)
class Machine:
    """Sizes in bytes."""

    cpus: int
    memory: int
    disk: int
    architecture: str
    kernel: str
    os_image: str
    machine_id: str
    system_uuid: str
    boot_id: str
    hostname: str


def read_machine(root_dir: Path) -> Machine:
    """root_dir is on the disk that pods use."""
    root_dir.mkdir(parents=True, exist_ok=True)
    disk = os.statvfs(root_dir)
    machine_id = _text("/etc/machine-id")
    return Machine(
        cpus=len(os.sched_getaffinity(0)),
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        disk=disk.f_blocks * disk.f_frsize,
        architecture=_ARCHITECTURES.get(platform.machine(), platform.machine()),
        kernel=platform.release(),
        os_image=_os_image(),
        machine_id=machine_id,
        system_uuid=_text("/sys/class/dmi/id/product_uuid") or machine_id,
        boot_id=_text("/proc/sys/kernel/random/boot_id"),
        hostname=platform.node().lower(),
    )


def bounded(machine: Machine, cpus: int, memory: int) -> Machine:
    """The part of a machine that a node may use; 0: all of it. Pure."""
    return replace(
        machine,
        cpus=min(cpus or machine.cpus, machine.cpus),
        memory=min(memory or machine.memory, machine.memory),
    )


def _text(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _os_image() -> str:
    for line in _text("/etc/os-release").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return "Linux"


def available_memory() -> int:
    """Bytes that may be taken without swapping."""
    for line in _text("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def available_disk(path: Path) -> tuple[int, int]:
    """Free bytes and free inodes, each as thousandths of the whole. Raises OSError."""
    found = os.statvfs(path)
    blocks = found.f_bavail * 1000 // max(found.f_blocks, 1)
    inodes = found.f_favail * 1000 // found.f_files if found.f_files else 1000
    return blocks, inodes
