"""ServiceCIDRs: ready from their beginning; deleted when no address needs them.

Upstream: pkg/controller/servicecidrs/servicecidrs_controller.go, KEP-1880.
Reads ServiceCIDR, IPAddress. Writes the ServiceCIDR's finalizer and its condition Ready.
"""

from collections.abc import Iterable
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from tiphys.api.errors import Conflict, NotFound
from tiphys.api.meta import Obj, ObjectKey, at, condition, is_terminating, parse_time, rfc3339
from tiphys.client.controller import Context, KeyedController
from tiphys.controllers.kinds import IP_ADDRESSES, SERVICE_CIDRS
from tiphys.controllers.persistent_volume_claim_protection import with_finalizer

FINALIZER: Final = "networking.k8s.io/service-cidr-finalizer"
# Allocators may not have seen the deletion yet. Upstream deletionGracePeriod.
GRACE_SECONDS: Final = 10.0
RECHECK_SECONDS: Final = 5.0  # Upstream is told of every address; this asks while one is deleted.
_READY: Final = "Kubernetes Service CIDR is ready"
_USED: Final = (
    "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new"
    " ServiceCIDR"
)


def needed_by(cidr: Obj, others: Iterable[Obj], addresses: Iterable[str]) -> list[str]:
    """The addresses within a ServiceCIDR that no other one has."""
    own = _networks(cidr)
    rest = [n for other in others if not is_terminating(other) for n in _networks(other)]
    parsed = [(text, ip_address(text)) for text in addresses]
    return [
        text
        for text, address in parsed
        if any(address in network for network in own)
        and not any(address in network for network in rest)
    ]


def _networks(cidr: Obj) -> list[IPv4Network | IPv6Network]:
    return [ip_network(text) for text in at(cidr, "spec", "cidrs", default=[])]


class ServiceCidrController(KeyedController):
    name = "service-cidrs-controller"

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._client = context.client_for(self.name)
        self._clock = context.clock
        self._cidrs = context.informers.of(SERVICE_CIDRS)
        self._cidrs.on_change(self.enqueue)

    async def reconcile(self, key: ObjectKey) -> float | None:
        cidr = self._cidrs.get(key)
        if cidr is None:
            return None
        try:
            if is_terminating(cidr):
                return await self._end(cidr)
            wanted = with_finalizer(cidr, FINALIZER, present=True)
            if wanted is not cidr:
                await self._client.update(SERVICE_CIDRS, wanted)
            else:
                await self._tell(cidr, "True", "", _READY)
        except NotFound:
            return None
        except Conflict:
            return RECHECK_SECONDS
        return None

    async def _end(self, cidr: Obj) -> float | None:
        if FINALIZER not in (cidr["metadata"].get("finalizers") or ()):
            return None
        found = await self._client.list(IP_ADDRESSES)
        addresses = [item["metadata"]["name"] for item in found["items"]]
        others = [c for c in self._cidrs.items() if c["metadata"]["uid"] != cidr["metadata"]["uid"]]
        if needed_by(cidr, others, addresses):
            await self._tell(cidr, "False", "Terminating", _USED)
            return RECHECK_SECONDS
        wait = _grace_left(cidr, self._clock.now())
        if wait > 0:
            return wait
        wanted = with_finalizer(cidr, FINALIZER, present=False)
        await self._client.update(SERVICE_CIDRS, wanted)
        return None

    async def _tell(self, cidr: Obj, status: str, reason: str, message: str) -> None:
        before = condition(cidr, "Ready") or {}
        if (before.get("status"), before.get("reason", "")) == (status, reason):
            return
        ready = {
            "type": "Ready",
            "status": status,
            "lastTransitionTime": rfc3339(self._clock.now()),
            "reason": reason,
            "message": message,
        }
        conditions = at(cidr, "status", "conditions", default=[])
        kept = [c for c in conditions if c.get("type") != "Ready"]
        changed = cidr | {"status": {"conditions": [*kept, ready]}}
        await self._client.update(SERVICE_CIDRS, changed, subresource="status")


def _grace_left(cidr: Obj, now: datetime) -> float:
    deleted = parse_time(cidr["metadata"]["deletionTimestamp"])
    return GRACE_SECONDS - (now - deleted).total_seconds()
