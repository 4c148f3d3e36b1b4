"""Routes by a compute driver that has them, as Libcloud's driver of Google does.

Libcloud has no common interface for routes: `ex_list_routes`, `ex_create_route` and
`ex_destroy_route` are used as libcloud.compute.drivers.gce declares them.
"""

import hashlib
from functools import partial
from typing import Any, Final

from tiphys.cloud.provider import Route
from tiphys.cloud.providers.libcloud.calls import call

PREFIX: Final = "tiphys-"


def route_name(route: Route) -> str:
    """The same for the same route: a crash in between makes no second one."""
    digest = hashlib.sha256(f"{route.node} {route.cidr} {route.next_hop}".encode()).hexdigest()
    return f"{PREFIX}{digest[:24]}"


class LibcloudRoutes:
    def __init__(self, driver: Any) -> None:
        self._driver = driver

    async def list(self) -> list[Route]:
        """Ours only: those with our prefix."""
        found = await call(self._driver.ex_list_routes)
        return [
            Route("", r.dest_range, str((r.extra or {}).get("nextHopIp") or ""), r.name)
            for r in found
            if r.name.startswith(PREFIX)
        ]

    async def create(self, route: Route) -> None:
        name = route_name(route)
        await call(lambda: self._driver.ex_create_route(name, route.cidr, next_hop=route.next_hop))

    async def delete(self, route: Route) -> None:
        for found in await call(self._driver.ex_list_routes):
            if found.name == route.name:
                await call(partial(self._driver.ex_destroy_route, found))
