"""What makes a process a container: its namespaces, rights, filter, groups and mounts as the kernel
tells them, and what it shares with the machine that a virtual machine would have for itself.

`facts` reads /proc; everything else is pure. Sources: man 7 namespaces, capabilities, cgroups;
man 5 proc.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tiphys.runtime.oci.capabilities import NAMES

NAMESPACES: Final = ("mnt", "pid", "net", "ipc", "uts", "cgroup", "user", "time")
OWN, POD, NODE, MACHINE = "own", "pod", "node", "machine"
SECCOMP_MODES: Final = ("disabled", "strict", "filter")
UNLIMITED_BYTES: Final = 1 << 60  # cgroup v1 says "no limit" as a number near 2**63.
_LIMITS: Final = (
    ("memoryBytes", ("memory.max", "memory.limit_in_bytes")),
    ("pids", ("pids.max",)),
    ("cpu", ("cpu.max",)),
    ("cpuQuotaMicroseconds", ("cpu.cfs_quota_us",)),
    ("cpuPeriodMicroseconds", ("cpu.cfs_period_us",)),
    ("cpuWeight", ("cpu.weight",)),
    ("cpuShares", ("cpu.shares",)),
)


@dataclass(frozen=True)
class Facts:
    """What /proc/PID says. `namespaces` are inode numbers by kind."""

    pid: int
    command: str
    namespaces: Mapping[str, int]
    status: Mapping[str, str]
    cgroups: Mapping[str, str]
    mounts: Sequence[Mapping[str, Any]]
    user_map: str


def facts(pid: int | str) -> Facts:
    """Of a process, or of this one for "self". Raises: OSError when it has ended."""
    base = f"/proc/{pid}"
    return Facts(
        pid=os.getpid() if pid == "self" else int(pid),
        command=_read(f"{base}/cmdline").replace("\0", " ").strip(),
        namespaces=namespaces(base),
        status=parse_status(_read(f"{base}/status")),
        cgroups=parse_cgroups(_read(f"{base}/cgroup")),
        mounts=parse_mounts(_read(f"{base}/mountinfo")),
        user_map=_read(f"{base}/uid_map"),
    )


def namespaces(base: str) -> dict[str, int]:
    """Inode numbers by kind; a kernel without time namespaces has none of those."""
    names = [name for name in NAMESPACES if os.path.exists(f"{base}/ns/{name}")]
    return {name: os.stat(f"{base}/ns/{name}").st_ino for name in names}


def limits(directories: Sequence[str]) -> dict[str, str]:
    """What the files of a control group say, by what they limit."""
    found: dict[str, str] = {}
    for key, names in _LIMITS:
        for directory in directories:
            for name in names:
                path = os.path.join(directory, name)
                if key not in found and os.path.exists(path):
                    found[key] = _read(path).strip()
    return found


def _read(path: str) -> str:
    with open(path, errors="replace") as file:
        return file.read()


def parse_status(text: str) -> dict[str, str]:
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {key: value.strip() for key, value in pairs}


def parse_cgroups(text: str) -> dict[str, str]:
    """Paths by controllers; "" is the unified hierarchy."""
    rows = (line.split(":", 2) for line in text.splitlines())
    return {row[1]: row[2] for row in rows if len(row) == 3}


def parse_mounts(text: str) -> list[dict[str, Any]]:
    """Lines of mountinfo. Octal escapes of blanks are undone."""
    found = []
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        fields, (kind, source, *more) = left.split(), right.split()
        options = sorted({*fields[5].split(","), *(more[0].split(",") if more else ())})
        place = fields[4].encode().decode("unicode_escape")
        found.append({"destination": place, "type": kind, "source": source, "options": options})
    return found


def capability_names(mask: str) -> list[str]:
    """Names of the bits of a hexadecimal mask."""
    bits = int(mask, 16)
    return [name for number, name in enumerate(NAMES) if bits >> number & 1]


def sharing(
    own: Mapping[str, int],
    pod: Mapping[str, int],
    node: Mapping[str, int],
    machine: Mapping[str, int],
) -> dict[str, str]:
    """By kind, with whom a namespace is shared: the widest circle that has the same one."""
    circles = ((MACHINE, machine), (NODE, node), (POD, pod))
    return {
        kind: next((name for name, circle in circles if circle.get(kind) == inode), OWN)
        for kind, inode in own.items()
    }


def describe(
    found: Facts, shared: Mapping[str, str], group: Mapping[str, str], kernel: str
) -> dict[str, Any]:
    """The whole picture of one container, as `tiphys container inspect -o json` prints it."""
    status = found.status
    mode = SECCOMP_MODES[int(status.get("Seccomp", "0"))]
    effective = capability_names(status["CapEff"])
    sandboxing = {
        "namespaces": {
            kind: {"inode": inode, "sharedWith": shared[kind]}
            for kind, inode in found.namespaces.items()
        },
        "cgroup": {"paths": dict(found.cgroups), "limits": dict(group)},
        "capabilities": {
            "effective": effective,
            "bounding": capability_names(status["CapBnd"]),
        },
        "seccomp": {"mode": mode, "filters": int(status.get("Seccomp_filters", "0"))},
        "noNewPrivileges": status.get("NoNewPrivs") == "1",
        "user": {"uid": int(status["Uid"].split()[0]), "gid": int(status["Gid"].split()[0])},
        "mounts": list(found.mounts),
    }
    process = {"pid": found.pid, "command": found.command, "kernel": kernel}
    return {
        "process": process,
        "sandboxing": sandboxing,
        "lacksComparedWithVM": lacks(shared, sandboxing, kernel),
    }


def lacks(
    shared: Mapping[str, str], sandboxing: Mapping[str, Any], kernel: str
) -> list[dict[str, str]]:
    """What a virtual machine has for itself and this container has not, each with what it means."""
    found = [
        (
            "kernel",
            f"its system calls run in the machine's kernel {kernel}: one flaw there opens all",
        ),
        ("hardware", "no virtual CPU, memory or disk: it sees the machine's, and its clock"),
    ]
    rights = sandboxing["capabilities"]["effective"]
    root = sandboxing["user"]["uid"] == 0
    if shared.get("user", MACHINE) == MACHINE:
        who = f"its root is the machine's root with {len(rights)} of {len(NAMES)} capabilities"
        text = who if root else "its user numbers are the machine's"
        found.append(("users", text))
    if shared.get("time", MACHINE) == MACHINE:
        found.append(("clocks", "monotonic and boot time are the machine's"))
    meanings = {
        "net": "interfaces, ports and firewall",
        "pid": "it sees and may signal the processes",
        "ipc": "shared memory and queues",
        "mnt": "the file systems",
        "uts": "the host name",
    }
    for kind, meaning in meanings.items():
        circle = shared.get(kind, MACHINE)
        if circle in (MACHINE, NODE):
            found.append((kind, f"{meaning} of the {circle}"))
    return [{"what": what, "why": why} for what, why in [*found, *_unlimited(sandboxing)]]


def _unlimited(sandboxing: Mapping[str, Any]) -> list[tuple[str, str]]:
    group = sandboxing["cgroup"]["limits"]
    found = []
    memory = group.get("memoryBytes", "max")
    if memory == "max" or int(memory) >= UNLIMITED_BYTES:
        found.append(("memory limit", "it may take the memory of the node"))
    if group.get("cpuQuotaMicroseconds", "-1") == "-1" and group.get("cpu", "max").startswith(
        "max"
    ):
        found.append(("CPU limit", "it may take all CPUs when nobody else wants them"))
    if group.get("pids", "max") == "max":
        found.append(("process limit", "it may use up the machine's process numbers"))
    if sandboxing["seccomp"]["mode"] == "disabled":
        found.append(("seccomp filter", "every system call of the kernel is open to it"))
    if "CAP_SYS_ADMIN" in sandboxing["capabilities"]["effective"]:
        found.append(("restraint", "it is privileged: with CAP_SYS_ADMIN it can leave"))
    return found
