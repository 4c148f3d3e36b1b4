"""How full the kernel's table of connections is: when it is full, new ones are dropped."""

from typing import Final

from tiphys.cluster.netcheck.finding import NetFinding
from tiphys.cluster.netcheck.place import Place
from tiphys.cluster.netcheck.scene import Scene

NAME: Final = "conntrack"
FULL: Final = 0.8  # Of the limit, above which somebody should know.
_COUNT: Final = "net.netfilter.nf_conntrack_count"
LIMIT: Final = "net.netfilter.nf_conntrack_max"


def look(scene: Scene) -> list[NetFinding]:
    found: list[NetFinding] = []
    for place in scene.places:
        count, limit = place.sysctl(_COUNT), place.sysctl(LIMIT)
        if count is not None and limit is not None:
            found += judge(place, int(count), int(limit))
    return found


def judge(place: Place, count: int, limit: int) -> list[NetFinding]:
    """Pure. The limit is the machine's, for each network namespace anew: it is set on the host."""
    if limit == 0 or count < limit * FULL:
        return []
    return [
        NetFinding(
            NAME,
            place.name,
            f"{count} of {limit} connections are in the kernel's table ({count * 100 // limit} %)",
            "many connections, or short ones not yet forgotten: a full table drops new ones",
            f"sysctl -w {LIMIT}={max(limit, count) * 2}",
            fatal=count >= limit,
        )
    ]
