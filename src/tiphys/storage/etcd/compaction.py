"""Every five minutes one of the API servers has etcd forget what is older than five minutes.

They agree by a key: who raises its version from the one it saw last time compacts, to the revision
that was current then; the others note the new version and wait. The key and its value (that
revision) are upstream's, so that a kube-apiserver on the same etcd takes part.
Upstream: apiserver pkg/storage/etcd3/compact.go.
"""

import logging
from typing import Any, Final

from tiphys.lib.clock import Clock
from tiphys.storage.backend import StorageError
from tiphys.storage.etcd.client import EtcdClient
from tiphys.storage.etcd.errors import EtcdError

log = logging.getLogger(__name__)

COMPACT_KEY: Final = b"compact_rev_key"
COMPACT_SECONDS: Final = 300.0  # Upstream's --etcd-compaction-interval.


def compacted_revision(kvs: list[dict[str, Any]]) -> int:
    """What the key says, from the answer of a range over it; 0 where nobody has compacted."""
    text = kvs[0].get("value", b"") if kvs else b""
    return int(text) if text.isdigit() else 0


class Compactor:
    """One server's part in it."""

    def __init__(self, client: EtcdClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._version = 0  # of the key, when last seen
        self._revision = 0  # current at that time

    async def run(self) -> None:
        while True:
            await self._clock.sleep(COMPACT_SECONDS)
            try:
                await self.turn()
            except StorageError as error:
                log.warning("compaction failed", extra={"why": error})

    async def turn(self) -> bool:
        """Compact if it is this server's turn; tells whether it was. Raises StorageError."""
        answer = await self._client.attempt("Txn", _claim(self._version, self._revision))
        revision = self._revision
        mine = bool(answer.get("succeeded"))
        self._revision = answer["header"]["revision"]
        self._version = self._version + 1 if mine else _version(answer)
        if mine and revision:
            await compact(self._client, revision)
        return mine and revision > 0


async def compact(client: EtcdClient, revision: int) -> None:
    """Compact; done already is done. Raises EtcdError, NoAnswer."""
    try:
        await client.call("Compact", {"revision": revision})
    except EtcdError as error:
        if not error.is_compacted:
            raise


def _claim(version: int, revision: int) -> dict[str, Any]:
    unchanged = {"key": COMPACT_KEY, "target": "VERSION", "result": "EQUAL", "version": version}
    put = {"request_put": {"key": COMPACT_KEY, "value": str(revision).encode()}}
    look = {"request_range": {"key": COMPACT_KEY}}
    return {"compare": [unchanged], "success": [put], "failure": [look]}


def _version(answer: dict[str, Any]) -> int:
    kvs = answer["responses"][0].get("response_range", {}).get("kvs", [])
    return int(kvs[0]["version"]) if kvs else 0
