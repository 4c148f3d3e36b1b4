"""Capability names and the default set. Source: linux/capability.h; moby oci/caps/defaults.go."""

from collections.abc import Iterable
from typing import Final

# fmt: off
NAMES: Final = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID",
    "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW",
    "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE",
    "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ",
    "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
)
NUMBERS: Final = {name: number for number, name in enumerate(NAMES)}

DEFAULT: Final = frozenset((
    "CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID",
    "CAP_KILL", "CAP_MKNOD", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP",
    "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
))
# fmt: on


def resolve(add: Iterable[str], drop: Iterable[str], *, privileged: bool) -> list[str]:
    """The capabilities of a container: the default set, then what a pod adds and drops.

    Names come with or without CAP_; ALL stands for every one. Adding wins over "drop ALL" only,
    as upstream. Raises: ValueError for an unknown name.
    """
    if privileged:
        return list(NAMES)
    added, dropped = _names(add), _names(drop)
    held = set(NAMES) if "ALL" in added else set(DEFAULT)
    if "ALL" in dropped:
        held = set()
    held |= added - {"ALL"}
    held -= dropped - {"ALL"}
    return [name for name in NAMES if name in held]


def mask(names: Iterable[str], last: int = len(NAMES) - 1) -> int:
    """Bits of names; those past the kernel's last capability are left out."""
    return sum(1 << NUMBERS[name] for name in names if NUMBERS[name] <= last)


def _names(given: Iterable[str]) -> set[str]:
    names = {name.upper() for name in given}
    full = {name if name.startswith("CAP_") or name == "ALL" else f"CAP_{name}" for name in names}
    if unknown := full - set(NAMES) - {"ALL"}:
        raise ValueError(f"unknown capability {sorted(unknown)[0]}")
    return full
