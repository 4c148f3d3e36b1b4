"""Route controller: the cloud's network learns on which machine which pods are.

Upstream: k8s.io/cloud-provider/controllers/route/route_controller.go.
Reads Node. Writes Node/status (condition NetworkUnavailable).
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final

from tiphys.api.errors import ApiError
from tiphys.api.meta import Obj, at, condition, name_of, rfc3339
from tiphys.client.controller import Context
from tiphys.cloud.kinds import NODES
from tiphys.cloud.provider import ProviderError, Route, Routes, address_of

log = logging.getLogger(__name__)

RECONCILE_SECONDS: Final = 10.0  # --route-reconciliation-period
UNAVAILABLE: Final = "NetworkUnavailable"


@dataclass(frozen=True, slots=True)
class Plan:
    """Deletions come first: a range may have moved to another node."""

    delete: Sequence[Route]
    create: Sequence[Route]


def plan(nodes: Sequence[Obj], have: Sequence[Route], cluster_cidr: str) -> Plan:
    """A route for each range of each node; others within the cluster's range are nobody's."""
    wanted = [
        Route(name_of(node), cidr, address_of(node))
        for node in nodes
        for cidr in at(node, "spec", "podCIDRs", default=[])
        if address_of(node)
    ]
    aims = {(r.cidr, r.next_hop) for r in wanted}
    ours = [r for r in have if _is_within(r.cidr, cluster_cidr)]
    there = {(r.cidr, r.next_hop) for r in ours}
    return Plan(
        delete=[r for r in ours if (r.cidr, r.next_hop) not in aims],
        create=[r for r in wanted if (r.cidr, r.next_hop) not in there],
    )


def _is_within(cidr: str, cluster_cidr: str) -> bool:
    one, whole = ip_network(cidr), ip_network(cluster_cidr)
    return one.version == whole.version and whole.supernet_of(one)  # type: ignore[arg-type]


def wanted_condition(node: Obj, *, has_routes: bool, now: str) -> Obj | None:
    """None: the Node says so already."""
    status = "False" if has_routes else "True"
    before = condition(node, UNAVAILABLE)
    if before is not None and before.get("status") == status:
        return None
    reason = "RouteCreated" if has_routes else "NoRouteCreated"
    word = "created a route" if has_routes else "failed to create a route"
    return {
        "type": UNAVAILABLE,
        "status": status,
        "reason": reason,
        "message": f"RouteController {word}",
        "lastHeartbeatTime": now,
        "lastTransitionTime": now,
    }


class RouteController:
    name = "route-controller"

    def __init__(self, context: Context, routes: Routes, cluster_cidr: str) -> None:
        self._client = context.client_for("route-controller")
        self._recorder = context.recorder(self.name)
        self._clock = context.clock
        self._routes = routes
        self._cluster_cidr = cluster_cidr
        self._nodes = context.informers.of(NODES)

    async def run(self) -> None:
        while True:
            try:
                await self.reconcile()
            except (ApiError, ProviderError) as exc:
                log.warning("routes not looked at, trying again", extra={"why": str(exc)})
            await self._clock.sleep(RECONCILE_SECONDS)

    async def reconcile(self) -> None:
        """Once over all nodes. Raises ApiError, ProviderError."""
        nodes = self._nodes.items()
        todo = plan(nodes, await self._routes.list(), self._cluster_cidr)
        for route in todo.delete:
            await self._routes.delete(route)
        failed = {r.node for r in todo.create if not await self._create(r)}
        for node in nodes:
            if at(node, "spec", "podCIDRs"):
                await self._tell(node, has_routes=name_of(node) not in failed)

    async def _create(self, route: Route) -> bool:
        try:
            await self._routes.create(route)
        except ProviderError as exc:
            text = f"Could not create route {route.cidr} for node {route.node}: {exc}"
            node = {"kind": "Node", "name": route.node, "uid": route.node, "apiVersion": "v1"}
            self._recorder.event(node, "Warning", "FailedToCreateRoute", text)
            return False
        return True

    async def _tell(self, node: Obj, *, has_routes: bool) -> None:
        now = rfc3339(self._clock.now())
        wanted = wanted_condition(node, has_routes=has_routes and bool(address_of(node)), now=now)
        if wanted is not None:
            patch = {"status": {"conditions": [wanted]}}
            await self._client.patch(NODES, name_of(node), patch, "", "status")
