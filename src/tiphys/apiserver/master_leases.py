"""Which API servers live: each keeps a key of its own that ends when it is not renewed.

    /registry/masterleases/ADDRESS    an Endpoints object with that address

Upstream: pkg/controlplane/reconcilers/lease.go (storageLeases), which reads and writes the same.
"""

from typing import Final

import orjson

from tiphys.storage.backend import Backend, KeyExists, RevisionMismatch
from tiphys.storage.store import ROOT

PREFIX: Final = f"{ROOT}masterleases/"
LEASE_SECONDS: Final = 15  # Upstream: DefaultEndpointReconcilerTTL.
TRIES_MAX: Final = 5  # Against the lease's own end, just when it is renewed.


class MasterLeases:
    """The leases of one store."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def renew(self, address: str) -> None:
        """Raises StorageError."""
        key = PREFIX + address
        for last in (False,) * (TRIES_MAX - 1) + (True,):
            found = await self._backend.get(key)
            try:
                if found is None:
                    value = _value(address, 1)
                    await self._backend.create(key, value, ttl_seconds=LEASE_SECONDS)
                else:
                    value = _value(address, _generation(found.value) + 1)
                    await self._backend.update(
                        key, value, found.revision, ttl_seconds=LEASE_SECONDS
                    )
            except (KeyExists, RevisionMismatch):
                if last:
                    raise
            else:
                return

    async def live(self) -> list[str]:
        """The addresses of live servers, in order. Raises StorageError."""
        read = await self._backend.range(PREFIX)
        return [item.key.removeprefix(PREFIX) for item in read.items]

    async def remove(self, address: str) -> None:
        """Raises StorageError."""
        found = await self._backend.get(PREFIX + address)
        if found is not None:
            await self._backend.delete(found.key, found.revision)


def _value(address: str, generation: int) -> bytes:
    """The generation tells one renewal from the next."""
    return orjson.dumps(
        {
            "kind": "Endpoints",
            "apiVersion": "v1",
            "metadata": {"generation": generation},
            "subsets": [{"addresses": [{"ip": address}]}],
        }
    )


def _generation(value: bytes) -> int:
    try:
        return int(orjson.loads(value)["metadata"].get("generation", 0))
    except (ValueError, KeyError, TypeError, AttributeError):
        return 0  # Not ours, or upstream's form: overwritten.
