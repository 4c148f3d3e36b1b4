"""Where a profile's store is, and how a snapshot gets out of it and into it."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.cluster.profile import Profile
from tiphys.lib.clock import Clock
from tiphys.storage import sqlite_snapshot
from tiphys.storage.snapshot import Snapshot

if TYPE_CHECKING:
    from tiphys.storage.etcd.client import EtcdClient


@dataclass(frozen=True, slots=True)
class Etcd:
    """Endpoints are URLs; https needs the three PEM files."""

    endpoints: tuple[str, ...]
    ca: str = ""
    cert: str = ""
    key: str = ""

    def take(self, clock: Clock) -> Snapshot:
        """Raises StorageError."""
        from tiphys.storage.etcd import snapshot

        async def work() -> Snapshot:
            client = self._client()
            try:
                return await snapshot.take(client, clock)
            finally:
                client.close()

        return asyncio.run(work())

    def load(self, taken: Snapshot, clock: Clock) -> str:
        """Raises StorageError, also when an API server uses it. Returns what was done."""
        from tiphys.storage.etcd import snapshot

        async def work() -> None:
            client = self._client()
            try:
                await snapshot.load(client, taken, clock)
            finally:
                client.close()

        asyncio.run(work())
        return f"loaded into etcd at {', '.join(self.endpoints)}"

    def _client(self) -> "EtcdClient":
        from tiphys.storage.etcd.client import EtcdClient, tls_context

        tls = tls_context(self.ca, self.cert, self.key) if self.ca else None
        return EtcdClient(self.endpoints, tls)


@dataclass(frozen=True, slots=True)
class Sqlite:
    path: Path

    def take(self, clock: Clock) -> Snapshot:
        """Raises StorageError."""
        return sqlite_snapshot.take(self.path)

    def load(self, taken: Snapshot, clock: Clock) -> str:
        """Raises StorageError, also when an API server uses it. Returns what was done."""
        kept = sqlite_snapshot.load(self.path, taken, int(clock.now().timestamp()))
        return f"loaded into {self.path}" + (f"; the old store is {kept}" if kept else "")


def sqlite_of(profile: Profile) -> Sqlite:
    return Sqlite(profile.directory / "store" / "state.db")
