"""Everything that could be wrong with the machine or with a cluster on it, one check each.

A check looks and tells findings; it changes nothing and asks for no more rights than it has.
Upstream's place for this: `minikube start`'s own checks, kubeadm's preflight.
"""

import os
import resource
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Final

from tiphys.cluster import (
    health,
    kernel_features,
    leftovers,
    machine_checks,
    node_network,
    preflight,
    processes,
    published_ports,
)
from tiphys.cluster import rights as needed_rights
from tiphys.cluster.finding import Finding
from tiphys.cluster.profile import Profile, Roots
from tiphys.lib.resolv_conf import machine_resolvers

MEMORY_BYTES_MIN: Final = 1 << 30  # A small cluster with its pods.
INODES_FREE_MIN: Final = 10_000  # Images are many small files.
INOTIFY_INSTANCES_MIN: Final = 128  # The kernel's default; each kubelet and shell uses some.
OPEN_FILES_MIN: Final = 4096
PIDS_MIN: Final = 4096
NOT_BEFORE: Final = datetime(2026, 1, 1, tzinfo=UTC)  # A clock before this was never set.
_PROXY_VARIABLES: Final = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")


@dataclass(frozen=True, slots=True)
class Patient:
    """What is looked at; profile is None where there is none of that name."""

    name: str
    roots: Roots
    profile: Profile | None
    environ: Mapping[str, str]
    now: datetime
    is_root: bool


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    look: Callable[[Patient], Iterable[Finding]]
    needs_root: bool = False
    needs_profile: bool = False


def memory(text: str) -> list[Finding]:
    """What /proc/meminfo means for a cluster. Pure."""
    for line in text.splitlines():
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) << 10
            if free < MEMORY_BYTES_MIN:
                what = f"only {free >> 20} MB of memory are available"
                fix = "stop other programs, or expect pods to be killed"
                return [Finding(what, fix, fatal=False)]
    return []


def clock(now: datetime) -> list[Finding]:
    """Certificates and tokens are refused when the clock is wrong. Pure."""
    if now >= NOT_BEFORE:
        return []
    fix = "set it: `timedatectl set-ntp true`"
    return [Finding(f"the clock says {now:%Y-%m-%d}, which cannot be", fix)]


def limit(what: str, have: int, wanted: int, fix: str) -> list[Finding]:
    """A limit of the machine that is too low. Pure."""
    return [] if have >= wanted else [Finding(f"{what} is {have}, {wanted} is little", fix, False)]


def proxies(environ: Mapping[str, str], ranges: Sequence[str]) -> list[Finding]:
    """A proxy that clients would use for the cluster's own addresses. Pure."""
    used = [v for v in _PROXY_VARIABLES if environ.get(v)]
    excepted = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    words = [w.strip() for w in excepted.split(",") if w.strip()]
    uncovered = [r for r in ranges if not any(_covers(word, r) for word in words)]
    if not used or not uncovered or "*" in words:
        return []
    return [
        Finding(
            f"{used[0]} is set: clients would look for {', '.join(uncovered)} behind the proxy",
            f"export NO_PROXY={','.join([*words, *uncovered])}",
            fatal=False,
        )
    ]


def _covers(word: str, wanted: str) -> bool:
    try:
        return ip_network(wanted, strict=False).subnet_of(ip_network(word, strict=False))  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return word == wanted


def resolvers(found: Sequence[str]) -> list[Finding]:
    """Pure."""
    if not found:
        what = "the machine has no resolver that pods could use: foreign names are not found"
        fix = "name one in /etc/resolv.conf that is not on the loopback"
        return [Finding(what, fix, fatal=False)]
    return [
        Finding(f"the resolver {address} is no address", "correct /etc/resolv.conf", fatal=False)
        for address in found
        if not _is_address(address)
    ]


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _inodes(patient: Patient) -> list[Finding]:
    existing = next(p for p in (patient.roots.state, *patient.roots.state.parents) if p.exists())
    free = os.statvfs(existing).f_favail
    if free == 0 and os.statvfs(existing).f_files == 0:
        return []  # A file system without a table of them (btrfs).
    return limit(f"free inodes at {existing}", free, INODES_FREE_MIN, "remove many small files")


def _sysctl_limit(name: str, wanted: int) -> list[Finding]:
    path = Path("/proc/sys") / name.replace(".", "/")
    if not path.exists():
        return []
    return limit(f"sysctl {name}", int(path.read_text()), wanted, f"sysctl -w {name}={wanted}")


def _open_files(patient: Patient) -> list[Finding]:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    have = OPEN_FILES_MIN if hard == resource.RLIM_INFINITY else hard
    return limit("the limit of open files", have, OPEN_FILES_MIN, "ulimit -n, limits.conf(5)")


def _own_ranges(patient: Patient) -> list[str]:
    profile = patient.profile
    if profile is None or not profile.nodes:
        return ["127.0.0.1"]
    return ["127.0.0.1", profile.node_cidr, profile.service_cidr, profile.pod_cidr]


def _leftovers(patient: Patient) -> list[Finding]:
    if patient.profile is not None:
        return []
    return leftovers.findings(patient.name, leftovers.observe(patient.name), patient.roots)


def _etcd(patient: Patient) -> list[Finding]:
    masters = patient.profile.masters if patient.profile else []
    if not masters or shutil.which("etcd"):
        return []
    return [Finding("etcd is not installed: the masters need it", "apt-get install etcd-server")]


def _processes(patient: Patient) -> list[Finding]:
    assert patient.profile is not None
    return [
        Finding(f"{p.title} does not run", f"tiphys start -p {patient.name} brings it back")
        for p in processes.recorded(patient.profile)
        if not p.is_alive
    ]


def _runs(patient: Patient) -> bool:
    return patient.profile is not None and processes.supervisor(patient.profile) is not None


def _health(patient: Patient) -> list[Finding]:
    """The API server, the nodes and the way of the kubeconfig."""
    assert patient.profile is not None
    if not _runs(patient):
        return []
    seen = health.observe(patient.profile, processes.recorded(patient.profile))
    found = []
    if seen.api_server != health.RUNNING:
        what = f"the API server is {seen.api_server}"
        word = "unpause" if seen.api_server == health.PAUSED else "logs apiserver"
        found.append(Finding(what, f"tiphys {word} -p {patient.name}"))
    for node in patient.profile.running_nodes:
        if seen.kubelets[node.name] != health.RUNNING:
            what = f"the kubelet of {node.name} is {seen.kubelets[node.name]}"
            found.append(Finding(what, f"tiphys logs kubelet-{node.name} -p {patient.name}"))
    if seen.kubeconfig == health.MISCONFIGURED:
        what = f'the kubeconfig\'s context "{patient.name}" leads elsewhere'
        found.append(Finding(what, f"tiphys update-context -p {patient.name}"))
    return found


def _dns(patient: Patient) -> list[Finding]:
    assert patient.profile is not None
    if not _runs(patient) or not patient.profile.running_nodes:
        return []
    from tiphys.cluster.readiness import Probe

    if Probe.at_once(patient.profile).dns_answers():
        return []
    what = f"DNS does not answer at {patient.profile.dns_service}"
    return [Finding(what, f"tiphys logs dns-{patient.profile.nodes[0].name} -p {patient.name}")]


def _sysctls(patient: Patient) -> list[Finding]:
    assert patient.profile is not None
    if not _runs(patient) or not patient.profile.nodes:
        return []
    texts = [f"host: {t}" for t in node_network.changed_host_sysctls()]
    for node in patient.profile.running_nodes:
        changed = node_network.changed_sysctls(patient.profile, node)
        texts += [f"node {node.name}: {t}" for t in changed]
    fix = f"tiphys stop -p {patient.name} and start set them again; find who changes them"
    return [Finding(f"a sysctl was changed: {text}", fix) for text in texts]


def _ports(patient: Patient) -> list[Finding]:
    """What a start would need: a profile that runs has its own."""
    profile = patient.profile
    if profile is None or _runs(patient):
        return []
    wanted = {p.port: "published" for p in published_ports.parse_all(profile.ports)}
    if profile.listen:  # Others know the cluster by it; else a start takes another.
        wanted[profile.api_port] = "the API server"
    return machine_checks.ports(wanted, machine_checks.is_free)


def _kubeconfig(patient: Patient) -> list[Finding]:
    from tiphys.client.kubeconfig import default_path

    return machine_checks.kubeconfig(default_path(patient.environ))


CHECKS: Final = (
    Check("rights", lambda p: needed_rights.missing(needed_rights.effective()), needs_root=True),
    Check("kernel", lambda p: preflight.kernel()),
    Check(
        "kernel features",
        lambda p: kernel_features.findings(kernel_features.missing()),
        needs_root=True,
    ),
    Check("cgroups", lambda p: preflight.cgroups()),
    Check("programs", lambda p: preflight.programs(p.profile.proxy_mode if p.profile else "")),
    Check("etcd", _etcd),
    Check("overlayfs", lambda p: machine_checks.overlay(p.roots.state)),
    Check("nftables", lambda p: machine_checks.nftables(), needs_root=True),
    Check("ports", _ports),
    Check("kubeconfig", _kubeconfig),
    Check("kubectl", lambda p: machine_checks.kubectl()),
    Check("firewall", lambda p: preflight.firewall(), needs_root=True),
    Check("disk", lambda p: preflight.disk(p.roots.state)),
    Check("inodes", _inodes),
    Check("memory", lambda p: memory(Path("/proc/meminfo").read_text())),
    Check(
        "inotify",
        lambda p: _sysctl_limit("fs.inotify.max_user_instances", INOTIFY_INSTANCES_MIN),
    ),
    Check("processes allowed", lambda p: _sysctl_limit("kernel.pid_max", PIDS_MIN)),
    Check("open files", _open_files),
    Check("clock", lambda p: clock(p.now)),
    Check("resolvers", lambda p: resolvers(machine_resolvers())),
    Check("proxies", lambda p: proxies(p.environ, _own_ranges(p))),
    Check("leftovers", _leftovers, needs_root=True),
    Check("processes", _processes, needs_profile=True),
    Check("cluster", _health, needs_profile=True),
    Check("dns", _dns, needs_profile=True),
    Check("sysctls", _sysctls, needs_root=True, needs_profile=True),
)


def applicable(patient: Patient) -> list[Check]:
    """The checks that can be made here. Pure."""
    return [
        check
        for check in CHECKS
        if (patient.is_root or not check.needs_root)
        and (patient.profile is not None or not check.needs_profile)
    ]
