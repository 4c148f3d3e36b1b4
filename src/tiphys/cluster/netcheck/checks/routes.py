"""Routes against the plan: to the world, to Services, to the pods of every node."""

from collections.abc import Collection
from typing import Final

from tiphys.cluster.netcheck.finding import NetFinding
from tiphys.cluster.netcheck.place import Place
from tiphys.cluster.netcheck.scene import Scene
from tiphys.cluster.netcheck.wanted_routes import Wanted, missing_routes, route_command

NAME: Final = "routes"


def look(scene: Scene) -> list[NetFinding]:
    found: list[NetFinding] = []
    for place in scene.places:
        down = {one["ifname"] for one in place.links() if "UP" not in one["flags"]}
        lost = missing_routes(scene, place)
        found += [judge(place, route) for route in lost if not goes_with(route, down)]
    return found


def goes_with(route: Wanted, down: Collection[str]) -> bool:
    """Whether a route is gone because a link is down, as the check of links tells. Pure."""
    return (route.device or "eth0") in down


def judge(place: Place, route: Wanted) -> NetFinding:
    """Pure."""
    way = route.gateway.removeprefix("~") or route.device
    return NetFinding(
        NAME,
        place.name,
        f"no route to {route.destination} ({route.what}) over {way}",
        "somebody deleted or changed it",
        route_command(place, route),
        touches=frozenset({route.node} if route.node else ()),
    )
