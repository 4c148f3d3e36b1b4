"""All checks of the network, and what they find together."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from tiphys.cluster.netcheck.checks import (
    conntrack,
    dns,
    endpoints,
    links,
    mtu,
    reachability,
    routes,
    rules,
    sysctls,
)
from tiphys.cluster.netcheck.finding import NetFinding, explained
from tiphys.cluster.netcheck.place import PlaceError
from tiphys.cluster.netcheck.scene import Scene


@dataclass(frozen=True, slots=True)
class Check:
    """shows_effects: what it finds follows from what others find at the same place."""

    name: str
    about: str
    look: Callable[[Scene], list[NetFinding]]
    shows_effects: bool = False


CHECKS: Final = (
    Check(sysctls.NAME, "settings of the kernel: value, wanted, why", sysctls.look),
    Check(links.NAME, "links of host, nodes and pods are there and up", links.look),
    Check(routes.NAME, "routes against the plan", routes.look),
    Check(mtu.NAME, "how long packets may be, by link and by path", mtu.look),
    Check(rules.NAME, "the kernel's rules against the plan, in every proxy mode", rules.look),
    Check(conntrack.NAME, "how full the table of connections is", conntrack.look),
    Check(endpoints.NAME, "endpoints that are gone: in objects, in connections", endpoints.look),
    Check(dns.NAME, "DNS of every node: answers, latency, truncation, upstreams", dns.look, True),
    Check(
        reachability.NAME,
        "packets arrive between all nodes, at pods, at the API server",
        reachability.look,
        True,
    ),
)


def diagnose(
    scene: Scene, checks: Iterable[Check] = CHECKS
) -> tuple[list[NetFinding], Mapping[str, str]]:
    """The findings, and by check why it could not be made."""
    causes: list[NetFinding] = []
    effects: list[NetFinding] = []
    failed: dict[str, str] = {}
    for check in checks:
        try:
            found = check.look(scene)
        except (PlaceError, OSError) as exc:
            failed[check.name] = str(exc)
            continue
        (effects if check.shows_effects else causes).extend(found)
    return explained(causes, effects), failed
