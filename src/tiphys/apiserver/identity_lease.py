"""A Lease in kube-system says which API servers there are; old ones are removed.

Upstream: pkg/controlplane/apiserver/server.go, controller/apiserverleasegc, KEP-1965.
"""

import base64
import hashlib
import logging
import uuid
from datetime import datetime, timedelta
from typing import Final

from tiphys.api.meta import Obj, at, rfc3339_micro
from tiphys.apiserver.bootstrap import Bootstrap
from tiphys.apiserver.endpoint import Endpoint
from tiphys.lib.clock import Clock
from tiphys.storage.backend import StorageError
from tiphys.storage.store import Store

log = logging.getLogger(__name__)

NAMESPACE: Final = "kube-system"
IDENTITY_LABEL: Final = "apiserver.kubernetes.io/identity"
IDENTITY: Final = "kube-apiserver"
LEASE_SECONDS: Final = 3600  # Upstream: IdentityLeaseDurationSeconds.
RENEW_SECONDS: Final = 10.0  # Upstream: IdentityLeaseRenewIntervalPeriod.
GROUP: Final = "coordination.k8s.io"


def lease_name(hostname: str) -> str:
    digest = hashlib.sha256(hostname.encode()).digest()[:16]
    return "apiserver-" + base64.b32encode(digest).decode().rstrip("=").lower()


def identity_lease(hostname: str, holder: str, now: datetime) -> Obj:
    return {
        "metadata": {
            "name": lease_name(hostname),
            "namespace": NAMESPACE,
            "labels": {IDENTITY_LABEL: IDENTITY, "kubernetes.io/hostname": hostname},
        },
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": rfc3339_micro(now),
        },
    }


def has_ended(lease: Obj, now: datetime) -> bool:
    """Whether an identity lease was not renewed for its duration."""
    if (lease["metadata"].get("labels") or {}).get(IDENTITY_LABEL) != IDENTITY:
        return False
    renewed = at(lease, "spec", "renewTime", default="")
    seconds = at(lease, "spec", "leaseDurationSeconds", default=0)
    try:
        return datetime.fromisoformat(renewed) + timedelta(seconds=seconds) < now
    except ValueError:
        return True  # Upstream removes leases that say nothing.


class IdentityLease:
    """This server's."""

    def __init__(
        self, store: Store, bootstrap: Bootstrap, leases: Endpoint, hostname: str, clock: Clock
    ) -> None:
        self._store = store
        self._bootstrap = bootstrap
        self._leases = leases
        self._hostname = hostname
        self._holder = f"{lease_name(hostname)}_{uuid.uuid4()}"
        self._clock = clock

    async def run(self) -> None:
        collected_at = -float(LEASE_SECONDS)
        while True:
            try:
                await self.renew()
                if self._clock.monotonic() - collected_at >= LEASE_SECONDS:
                    collected_at = self._clock.monotonic()
                    await self.collect()
            except StorageError as error:
                log.warning("identity lease not renewed", extra={"why": error})
            await self._clock.sleep(RENEW_SECONDS)

    async def renew(self) -> None:
        """Raises StorageError."""
        lease = identity_lease(self._hostname, self._holder, self._clock.now())
        await self._bootstrap.ensure(GROUP, "leases", lease, replace=("spec",))

    async def collect(self) -> None:
        """Remove the leases of servers that are no more. Raises StorageError."""
        cache = self._leases.cache
        for cached in cache.range(f"{cache.prefix}{NAMESPACE}/"):
            if has_ended(self._leases.decode(cached), self._clock.now()):
                await self._store.delete(cache, cached.key, cached.revision)
