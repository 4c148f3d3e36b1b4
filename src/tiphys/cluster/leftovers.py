"""What carries a profile's name on the machine although there is no such profile.

A profile whose file is there repairs and uses its own things again; what is left when the file is
gone (removed by hand, another TIPHYS_HOME) would be mistaken for it.
"""

import os
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tiphys.cluster import addresses
from tiphys.cluster.finding import Finding
from tiphys.cluster.profile import Node, Roots
from tiphys.lib.netlink.route import route_socket

NAMESPACES: Final = Path("/run/netns")
NFT: Final = "/usr/sbin/nft"
_HOST_UNKNOWN: Final = 192  # Above what nodes are given.
_NFT_SECONDS_MAX: Final = 5.0


@dataclass(frozen=True, slots=True)
class Machine:
    """Names of everything on the machine that a profile could have left."""

    links: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()
    cgroups: tuple[str, ...] = ()
    supervisors: tuple[int, ...] = ()  # Pids of living supervisors of that name.


def of(name: str, machine: Machine, roots: Roots) -> list[str]:
    """`kind NAME` of everything that a profile of that name has left. Pure."""
    short = addresses.short_name(name)
    own = [str(roots.run / name), str(roots.state / name)]
    found = [f"link {k}" for k in machine.links if k.startswith(short)]
    found += [f"network namespace {n}" for n in machine.namespaces if node_of(name, n)]
    found += [f"nftables table {t}" for t in machine.tables if t == f"tiphys-{name}"]
    found += [
        f"mount {m}" for m in machine.mounts if any(m == o or m.startswith(f"{o}/") for o in own)
    ]
    return found + [f"cgroup {c}" for c in machine.cgroups]


def node_of(name: str, namespace: str) -> str:
    """The node of a profile to which a network namespace belongs; "" when it is another's."""
    matched = re.fullmatch(rf"tiphys-{re.escape(name)}-({re.escape(name)}(-m\d+)?)", namespace)
    return matched[1] if matched else ""


def nodes(name: str, machine: Machine) -> tuple[Node, ...]:
    """The nodes that left something; at least the first one.

    Of an address only the last part is true, which is in the name of the node's link.
    """
    pattern = re.compile(re.escape(addresses.short_name(name)) + r"n(\d+)")
    hosts = [int(m[1]) for k in machine.links if (m := pattern.fullmatch(k))]
    names = sorted({node_of(name, n) for n in machine.namespaces} - {""} | {name})
    names += [f"{name}-link{host}" for host in hosts[len(names) :]]
    hosts += range(_HOST_UNKNOWN, _HOST_UNKNOWN + len(names) - len(hosts))
    return tuple(Node(n, f"192.168.49.{at}") for n, at in zip(names, hosts, strict=True))


def findings(name: str, machine: Machine, roots: Roots) -> list[Finding]:
    """What stands in the way of a new profile of that name."""
    if machine.supervisors:
        pids = ", ".join(map(str, machine.supervisors))
        return [
            Finding(
                f'a cluster named "{name}" runs already, kept elsewhere (process {pids})',
                "choose another name with -p, or use the TIPHYS_HOME with which it was started",
            )
        ]
    left = of(name, machine, roots)
    if not left:
        return []
    return [
        Finding(
            f'an earlier cluster named "{name}" has left: {", ".join(left)}',
            f"`tiphys delete -p {name}` removes it",
        )
    ]


def observe(name: str) -> Machine:
    """The machine as it is. Needs root."""
    from tiphys.runtime.cgroups.interface import detect

    with route_socket() as route:
        links = tuple(link.name for link in route.links())
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    groups = detect().directories(f"tiphys/{name}")
    return Machine(
        links=links,
        namespaces=tuple(p.name for p in NAMESPACES.iterdir()) if NAMESPACES.is_dir() else (),
        tables=tuple(tables()),
        mounts=tuple(line.split()[4] for line in mounts),
        cgroups=tuple(str(g) for g in groups if Path(g).is_dir()),
        supervisors=tuple(_supervisors(name)),
    )


def tables() -> Iterable[str]:
    """Names of the nftables tables of IPv4."""
    if not Path(NFT).exists():
        return []
    listed = subprocess.run(
        [NFT, "list", "tables", "ip"],
        capture_output=True,
        text=True,
        timeout=_NFT_SECONDS_MAX,
        check=False,
    )
    return [line.split()[-1] for line in listed.stdout.splitlines() if line]


def _supervisors(name: str) -> Iterable[int]:
    title = f"tiphys: supervisor [{name}]".encode()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                found = Path(f"/proc/{entry}/cmdline").read_bytes()
            except OSError:
                continue
            if found.rstrip(b"\0 ") == title:
                yield int(entry)
