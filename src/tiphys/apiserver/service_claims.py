"""No two API servers give out one address or node port at the same time.

What Services hold each server reads from the committed writes; what a write under way was given
only its own server knows. On a shared store it therefore claims the numbers first, in one key that
all servers change by compare-and-swap:

    /registry/ranges/service-claims    {"claims": {"10.96.0.7": [SERVER, UNIX SECONDS], ...}}

A claim lasts until the Service is written or refused; that of a server that died ends at its time.
Who reads the key at a revision first waits until its caches have that revision: a number whose
claim is gone because its Service was written is then seen as held.
Upstream claims an address by creating its IPAddress object and a port by a bitmap in
/registry/ranges/servicenodeports, both of which must be repaired after a crash (KEP-1880).
"""

import asyncio
import copy
import logging
import uuid
from collections.abc import Mapping
from functools import partial
from ipaddress import IPv4Address
from typing import Final

import orjson

from tiphys.api.errors import InternalError
from tiphys.api.meta import Obj
from tiphys.apiserver.context import RequestContext
from tiphys.apiserver.number_pool import Pool, Reservation
from tiphys.lib.clock import Clock
from tiphys.lib.tasks import TaskSet
from tiphys.storage.backend import KeyExists, KeyValue, RevisionMismatch, StorageError
from tiphys.storage.store import ROOT, Store

log = logging.getLogger(__name__)

KEY: Final = f"{ROOT}ranges/service-claims"
CLAIM_SECONDS: Final = 60  # Longer than any write may take (etcd client: 10 s).
FOREIGN_SECONDS_MAX: Final = 3.0  # For another server's write of the same number to end.
AVOID_SECONDS: Final = 2.0  # For a number whose foreign claim does not end.
TRIES_MAX: Final = 100  # Against the other servers' changes of the key.
REDRAWS_MAX: Final = 8
PAUSE_SECONDS: Final = 0.01
PORT_MAX: Final = 65535

Claims = dict[str, tuple[str, int]]


def text_of(number: int) -> str:
    """A port, or an address: no address of a Service range is as low as a port."""
    return str(number) if number <= PORT_MAX else str(IPv4Address(number))


def read_claims(found: KeyValue | None, now: int) -> Claims:
    """The claims that have not ended."""
    if found is None:
        return {}
    claims: Mapping[str, tuple[str, int]] = orjson.loads(found.value)["claims"]
    return {text: (owner, end) for text, (owner, end) in claims.items() if end > now}


class ServiceClaims:
    """This server's claims."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._owner = uuid.uuid4().hex
        self._mine: dict[str, int] = {}  # text -> when it ends
        self._is_settling = False
        self._turn = asyncio.Lock()  # One change of the key at a time from here.
        self._tasks = TaskSet()

    async def take(self, reserved: Reservation) -> bool:
        """Claim what a write was given; False when another server was faster with some of it.

        Raises StorageError.
        """
        wanted = {text_of(number): (pool, number) for pool, number in reserved.numbers}
        if not wanted:
            return True
        until = self._clock.monotonic() + FOREIGN_SECONDS_MAX
        while True:
            async with self._turn:
                foreign = await self._claim(list(wanted))
            if not foreign:
                reserved.on_release(partial(self._drop, list(wanted)))
                return not any(pool.is_held(number) for pool, number in wanted.values())
            if self._clock.monotonic() > until:
                self._avoid([wanted[text] for text in foreign], reserved)
                return False
            await self._clock.sleep(PAUSE_SECONDS)

    def _avoid(self, numbers: list[tuple[Pool, int]], reserved: Reservation) -> None:
        """Do not give these out for a while: another server may have died with its claim."""
        loop = asyncio.get_running_loop()
        for pool, number in numbers:
            reserved.leave(pool, number)
            loop.call_later(AVOID_SECONDS, pool.unreserve, number)

    async def _claim(self, texts: list[str]) -> list[str]:
        """Put the texts among the claims; or return those that are others'."""
        end = int(self._clock.now().timestamp()) + CLAIM_SECONDS
        for _ in range(TRIES_MAX):
            found, others = await self._read()
            if foreign := [text for text in texts if text in others]:
                return foreign
            mine = self._mine | dict.fromkeys(texts, end)
            if await self._write(found, others, mine):
                self._mine |= dict.fromkeys(texts, end)
                return []
        raise StorageError(f"{KEY} changes too often")

    async def _read(self) -> tuple[KeyValue | None, Claims]:
        """The key, and the others' claims; the caches then have what was written before it."""
        found = await self._store.backend.get(KEY)
        if found is not None:
            await self._store.reached(found.revision)
        claims = read_claims(found, int(self._clock.now().timestamp()))
        return found, {text: claim for text, claim in claims.items() if claim[0] != self._owner}

    async def _write(self, found: KeyValue | None, others: Claims, mine: Mapping[str, int]) -> bool:
        """False when another server was faster."""
        claims = others | {text: (self._owner, end) for text, end in mine.items()}
        value = orjson.dumps({"claims": claims})
        try:
            if found is None:
                await self._store.backend.create(KEY, value)
            else:
                await self._store.backend.update(KEY, value, found.revision)
        except (KeyExists, RevisionMismatch):
            return False
        return True

    def _drop(self, texts: list[str]) -> None:
        """The write is over: its Service is in the caches, or there is none."""
        for text in texts:
            self._mine.pop(text, None)
        if not self._is_settling:
            self._is_settling = True
            self._tasks.start(self._settle(), "service claims")

    async def _settle(self) -> None:
        """Tell the others what was dropped, once for all that was until then."""
        try:
            async with self._turn:
                self._is_settling = False
                for _ in range(TRIES_MAX):
                    found, others = await self._read()
                    if await self._write(found, others, self._mine):
                        return
        except StorageError as error:
            log.warning("claims not dropped, they will end", extra={"why": error})

    async def close(self) -> None:
        await self._tasks.close()


async def allocate_new(ctx: RequestContext, obj: Obj, reserved: Reservation) -> None:
    """What a new Service needs, agreed with the other servers. Raises Invalid, InternalError."""
    server = ctx.server
    if server.claims is None or ctx.endpoint.info.kind != "Service" or ctx.is_dry_run:
        server.allocate(ctx, obj, None, reserved)
        return
    asked = obj["spec"]
    for _ in range(REDRAWS_MAX):
        obj["spec"] = copy.deepcopy(asked)
        server.allocate(ctx, obj, None, reserved)
        if await server.claims.take(reserved):
            return
    raise InternalError("failed to allocate a serviceIP: other servers take them all")
