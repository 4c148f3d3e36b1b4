"""Which rights of root a node needs: being root in a container is not enough.

Source: capabilities(7) for the numbers, linux/capability.h.
"""

from pathlib import Path
from typing import Final

from tiphys.cluster.finding import Finding

# Name -> (bit, what it is needed for).
NEEDED: Final = {
    "CAP_CHOWN": (0, "files of images belong to their users"),
    "CAP_DAC_OVERRIDE": (1, "files of images are unpacked whatever their modes"),
    "CAP_FOWNER": (3, "modes of files of other users are set"),
    "CAP_FSETID": (4, "set-user-id bits of images are kept"),
    "CAP_KILL": (5, "containers of other users are ended"),
    "CAP_SETGID": (6, "containers run in their groups"),
    "CAP_SETUID": (7, "containers run as their users"),
    "CAP_SETPCAP": (8, "containers are given fewer rights"),
    "CAP_NET_BIND_SERVICE": (10, "DNS listens on port 53"),
    "CAP_NET_ADMIN": (12, "links, routes and nftables rules are made"),
    "CAP_NET_RAW": (13, "containers may send pings"),
    "CAP_SYS_CHROOT": (18, "containers see their own root only"),
    "CAP_SYS_ADMIN": (21, "namespaces and mounts are made"),
    "CAP_SYS_RESOURCE": (24, "pods are protected by their out-of-memory scores"),
    "CAP_MKNOD": (27, "devices of containers are made"),
    "CAP_AUDIT_WRITE": (29, "it is in the default set of containers"),
    "CAP_SETFCAP": (31, "capabilities of files of images are kept"),
}
# Without them a cluster works, but not in all things as elsewhere.
WISHED: Final = ("CAP_SYS_RESOURCE",)


def effective() -> int:
    """The capabilities of this process as bits."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    raise ValueError("/proc/self/status has no CapEff")


def missing(bits: int) -> list[Finding]:
    """One finding for each right that is not among the bits."""
    return [
        Finding(
            f"the right {name} is missing ({why})",
            f"run it on the machine itself, or give the container the right: --cap-add "
            f"{name.removeprefix('CAP_')}, or --privileged for all",
            fatal=name not in WISHED,
        )
        for name, (bit, why) in NEEDED.items()
        if not bits >> bit & 1
    ]
