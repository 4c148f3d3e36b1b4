"""Leases for keys that end: keys of about the same end share one, so that etcd has few.

A lease lasts a little longer than asked, and is given to later keys as long as they would not end
too early or too late. Upstream: apiserver pkg/storage/etcd3/lease_manager.go (its numbers).
"""

from dataclasses import dataclass
from typing import Final

from tiphys.lib.clock import Clock
from tiphys.storage.etcd.client import EtcdClient

REUSE_SECONDS_MAX: Final = 60
REUSE_SHARE: Final = 0.05  # of the time to live
KEYS_PER_LEASE_MAX: Final = 1000


@dataclass(slots=True)
class _Lease:
    number: int
    ends_at: float  # monotonic seconds
    keys: int = 0


def reuse_seconds(ttl_seconds: int) -> int:
    """How much later than asked a key may end."""
    return min(int(ttl_seconds * REUSE_SHARE), REUSE_SECONDS_MAX)


class Leases:
    """The newest lease. Belongs to one event loop."""

    def __init__(self, client: EtcdClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._newest: _Lease | None = None

    async def lease_for(self, ttl_seconds: int) -> int:
        """The number of a lease that ends in so many seconds or a little later; 0 for 0 (never).

        Raises EtcdError, NoAnswer.
        """
        if not ttl_seconds:
            return 0
        lease = self._newest
        if lease is None or not self._fits(lease, ttl_seconds):
            wanted = ttl_seconds + reuse_seconds(ttl_seconds)
            asked_at = self._clock.monotonic()
            answer = await self._client.call("LeaseGrant", {"TTL": wanted})
            lease = self._newest = _Lease(answer["ID"], asked_at + answer["TTL"])
        lease.keys += 1
        return lease.number

    def _fits(self, lease: _Lease, ttl_seconds: int) -> bool:
        left = lease.ends_at - self._clock.monotonic()
        in_time = ttl_seconds <= left <= ttl_seconds + reuse_seconds(ttl_seconds)
        return in_time and lease.keys < KEYS_PER_LEASE_MAX

    def forget(self, number: int) -> None:
        """etcd does not know it any more."""
        if self._newest is not None and self._newest.number == number:
            self._newest = None
