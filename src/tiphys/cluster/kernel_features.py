"""Parts of the kernel that nodes use, each tried in a network namespace that nobody else sees.

Modules are loaded on first use only, so trying is the only way to know.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tiphys.cluster.finding import Finding
from tiphys.lib.netlink import netns
from tiphys.lib.netlink.route import route_socket

NFT: Final = "/usr/sbin/nft"
_NFT_SECONDS_MAX: Final = 5.0
_TRY_SECONDS_MAX: Final = 30  # For all of them; a kernel that hangs must not hang us.


@dataclass(frozen=True, slots=True)
class Feature:
    """config: the kernel's option, also a hint at the module."""

    name: str
    config: str
    text: str  # The body of an nftables chain that uses it.


_NAT: Final = "type nat hook postrouting priority srcnat; "
_DNAT: Final = "type nat hook prerouting priority dstnat; "
_FILTER: Final = "type filter hook prerouting priority filter; "
RULES: Final = (
    Feature("nftables", "CONFIG_NF_TABLES_IPV4", _FILTER + "accept"),
    Feature("nftables nat", "CONFIG_NFT_NAT", _DNAT + "ip protocol tcp dnat to 192.0.2.1"),
    Feature("nftables masquerade", "CONFIG_NFT_MASQ", _NAT + "masquerade fully-random"),
    Feature("nftables connection tracking", "CONFIG_NFT_CT", _FILTER + "ct state new accept"),
    Feature("nftables fib", "CONFIG_NFT_FIB_IPV4", _FILTER + "fib daddr type local accept"),
    Feature(
        "nftables random numbers",
        "CONFIG_NFT_NUMGEN",
        _FILTER + "numgen random mod 2 0 accept",
    ),
    Feature(
        "nftables reject",
        "CONFIG_NFT_REJECT_IPV4",
        "type filter hook input priority filter; reject",
    ),
)
LINKS: Final = {"bridge": "CONFIG_BRIDGE", "veth": "CONFIG_VETH"}


def ruleset(features: Sequence[Feature]) -> str:
    """A table that uses all of them, instead of the one before."""
    table = "table ip tiphys-check"
    chains = "\n".join(f"  chain c{n} {{ {f.text}; }}" for n, f in enumerate(features))
    return f"{table}\ndelete {table}\n{table} {{\n{chains}\n}}\n"


def findings(missing: Sequence[str]) -> list[Finding]:
    """What is missing, by name, each with what to do."""
    configs = {f.name: f.config for f in RULES} | {f"{n} links": c for n, c in LINKS.items()}
    return [
        Finding(
            f"the kernel has no {name}",
            f"install the kernel's extra modules, or use a kernel built with {configs[name]}",
        )
        for name in missing
    ]


def missing() -> list[str]:
    """Names of features that could not be used. Needs CAP_SYS_ADMIN and CAP_NET_ADMIN."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.alarm(_TRY_SECONDS_MAX)
            netns.unshare()
            os.write(write_end, "\n".join(_tried()).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        names = pipe.read().split("\n")
    _, status = os.waitpid(pid, 0)
    if status != 0:
        return [
            *(f"{n} links" for n in LINKS),
            RULES[0].name,
        ]  # No namespace at all: nothing could be tried.
    return [n for n in names if n]


def _tried() -> list[str]:
    found = []
    with route_socket() as route:
        for name, make in (
            ("bridge links", lambda: route.add_bridge("check")),
            ("veth links", lambda: route.add_veth("check0", "check1")),
        ):
            if not _works(make):
                found.append(name)
    if os.path.exists(NFT) and not _loads(RULES):
        found += [f.name for f in RULES if not _loads([f])]
    return found


def _works(make: Callable[[], None]) -> bool:
    try:
        make()
    except OSError:
        return False
    return True


def _loads(features: Sequence[Feature]) -> bool:
    done = subprocess.run(
        [NFT, "-f", "-"],
        input=ruleset(features),
        text=True,
        capture_output=True,
        timeout=_NFT_SECONDS_MAX,
        check=False,
    )
    return done.returncode == 0
