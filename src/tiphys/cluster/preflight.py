"""What a machine must have before a cluster is started on it; each finding with what to do."""

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tiphys.cluster import kernel_features, rights
from tiphys.cluster.finding import Finding
from tiphys.cluster.kernel_features import NFT
from tiphys.cluster.profile import Roots

IPTABLES_RESTORE: Final = "/usr/sbin/iptables-restore"
IPTABLES_SAVE: Final = "/usr/sbin/iptables-save"
_NFT_SECONDS_MAX: Final = 5.0
_SYSTEM_PATH: Final = "/usr/sbin:/sbin:/usr/bin:/bin"
DISK_BYTES_MIN: Final = 512 << 20
FILE_SYSTEMS: Final = ("overlay", "tmpfs", "proc", "sysfs")
NAMESPACES: Final = ("mnt", "net", "uts", "ipc", "pid", "cgroup")
CONTROLLERS: Final = ("cpu", "memory", "pids")


def check(
    roots: Roots, *, with_nodes: bool, with_etcd: bool = False, proxy_mode: str = "nftables"
) -> list[Finding]:
    """Everything that is wrong, not just the first thing."""
    findings = disk(roots.state)
    if not with_nodes:
        return findings
    if os.geteuid() != 0:
        findings.append(
            Finding(
                "nodes need root: containers, networks and cgroups are made",
                "run it with sudo, or start a control plane alone with `tiphys start --nodes 0`",
            )
        )
        return findings
    if with_etcd and shutil.which("etcd", path=_SYSTEM_PATH) is None:
        what = "etcd is not installed: masters keep their objects in it"
        findings.append(Finding(what, "apt-get install etcd-server"))
    lacking = rights.missing(rights.effective())
    findings += lacking + kernel() + programs(proxy_mode)
    findings += cgroups() + firewall()
    if not any(f.fatal for f in lacking):  # Without rights nothing can be tried.
        findings += kernel_features.findings(kernel_features.missing())
    return findings


def missing(have: Sequence[str], wanted: Sequence[str]) -> list[str]:
    return [w for w in wanted if w not in have]


def _loaded_file_systems() -> list[str]:
    """Modules are loaded on first use only: what is missing is asked for before it is missed."""
    for name in missing(_file_systems(), FILE_SYSTEMS):
        if modprobe := shutil.which("modprobe", path=_SYSTEM_PATH):
            subprocess.run(
                [modprobe, name], capture_output=True, timeout=_NFT_SECONDS_MAX, check=False
            )
    return _file_systems()


def _file_systems() -> list[str]:
    text = Path("/proc/filesystems").read_text()
    return [line.split()[-1] for line in text.splitlines() if line]


def kernel() -> list[Finding]:
    """What it lacks that cannot be loaded."""
    return kernel_findings(_loaded_file_systems())


def kernel_findings(file_systems: Sequence[str]) -> list[Finding]:
    findings = [
        Finding(
            f"the kernel has no file system {name}",
            f"load it (`modprobe {name}`) or use a kernel built with it",
        )
        for name in missing(file_systems, FILE_SYSTEMS)
    ]
    findings += [
        Finding(
            f"the kernel has no {name} namespaces",
            "use a kernel with namespaces (CONFIG_NAMESPACES and its parts)",
        )
        for name in NAMESPACES
        if not Path(f"/proc/self/ns/{name}").exists()
    ]
    if not Path("/proc/sys/kernel/seccomp/actions_avail").exists():
        findings.append(
            Finding(
                "the kernel has no seccomp filters",
                "use a kernel built with CONFIG_SECCOMP_FILTER",
            )
        )
    if not os.access("/proc/sys/net/ipv4/ip_forward", os.W_OK):
        findings.append(
            Finding(
                "sysctls cannot be written (/proc/sys is read-only)",
                "run on the machine itself or in a privileged container",
            )
        )
    return findings


def programs(proxy_mode: str, exists: Callable[[str], bool] = os.path.exists) -> list[Finding]:
    """What is started from other packages. The host's own table is nftables in every mode."""
    wanted = {NFT: "nftables"}
    if proxy_mode == "iptables":
        wanted |= dict.fromkeys((IPTABLES_RESTORE, IPTABLES_SAVE), "iptables")
    return [
        Finding(f"{path} is missing", f"install it: `apt-get install {package}`")
        for path, package in wanted.items()
        if not exists(path)
    ]


def cgroups() -> list[Finding]:
    root = Path("/sys/fs/cgroup")
    unified = root / "cgroup.controllers"
    have = (
        unified.read_text().split()
        if unified.exists()
        else [p.name for p in root.iterdir()]
        if root.is_dir()
        else []
    )
    return [
        Finding(
            f"the cgroup controller {name} is not available",
            "mount cgroup v2 at /sys/fs/cgroup, or enable the controller (cgroup_enable=memory)",
        )
        for name in missing(have, CONTROLLERS)
    ]


def firewall() -> list[Finding]:
    """Docker and some firewalls drop whatever is forwarded that they did not let through."""
    if not Path("/sys/class/net/docker0").exists() or not Path(NFT).exists():
        return []
    listed = subprocess.run(
        [NFT, "list", "chain", "ip", "filter", "FORWARD"],
        capture_output=True,
        text=True,
        timeout=_NFT_SECONDS_MAX,
        check=False,
    )
    return forward_findings(listed.stdout)


def forward_findings(chain: str) -> list[Finding]:
    """What the text of a FORWARD chain means for pods."""
    if "policy drop" not in chain or 'iifname "ty' in chain:
        return []
    return [
        Finding(
            "the firewall drops forwarded packets (Docker sets this): pods cannot reach the world",
            "let them: `iptables -I DOCKER-USER -i ty+ -j ACCEPT` and the same with -o",
            fatal=False,
        )
    ]


def disk(state: Path) -> list[Finding]:
    existing = next(p for p in (state, *state.parents) if p.exists())
    free = shutil.disk_usage(existing).free
    if free >= DISK_BYTES_MIN:
        return []
    return [
        Finding(
            f"only {free >> 20} MB are free at {existing}, {DISK_BYTES_MIN >> 20} MB are needed",
            "free some space, or put the state elsewhere with TIPHYS_HOME",
        )
    ]
