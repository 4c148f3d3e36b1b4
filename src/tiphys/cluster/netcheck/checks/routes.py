"""Routes against the plan: to the world, to Services, to the pods of every node."""

from typing import Final

from tiphys.cluster.netcheck.finding import NetFinding
from tiphys.cluster.netcheck.place import Place
from tiphys.cluster.netcheck.scene import Scene
from tiphys.cluster.netcheck.wanted_routes import Wanted, missing_routes, route_command

NAME: Final = "routes"


def look(scene: Scene) -> list[NetFinding]:
    found: list[NetFinding] = []
    for place in scene.places:
        if not any(_down(one) for one in place.links()):  # Told by the check of links.
            found += [judge(place, route) for route in missing_routes(scene, place)]
    return found


def _down(link: dict[str, object]) -> bool:
    return link["ifname"] == "eth0" and "UP" not in str(link["flags"])


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
