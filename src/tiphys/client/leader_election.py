"""Leader election by Lease: one holder works, the others wait.

A holder that cannot renew in time stops its work before the lease can pass to another.
Upstream: client-go tools/leaderelection.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from tiphys.api.errors import ApiError, Conflict, NotFound
from tiphys.api.meta import GroupVersionResource, Obj, at, parse_time, rfc3339_micro
from tiphys.client.rest import Client
from tiphys.lib.clock import Clock

log = logging.getLogger(__name__)

LEASES: Final = GroupVersionResource("coordination.k8s.io", "v1", "leases")
# component-base config/v1alpha1 RecommendedDefaultLeaderElectionConfiguration.
LEASE_SECONDS: Final = 15
RENEW_DEADLINE_SECONDS: Final = 10
RETRY_SECONDS: Final = 2.0


class LostLease(Exception):
    """The lease could not be renewed in time: the work was stopped."""


@dataclass(frozen=True, slots=True)
class Election:
    client: Client
    namespace: str
    name: str
    identity: str
    clock: Clock


@dataclass(frozen=True, slots=True)
class Observed:
    """A lease's record and when we first saw it so; the holder's clock is never trusted."""

    record: tuple[str, str]
    at_seconds: float


def wanted_spec(spec: Obj, identity: str, now: datetime) -> Obj:
    """The lease's spec once we hold it."""
    renewing = spec.get("holderIdentity") == identity
    transitions = int(spec.get("leaseTransitions") or 0)
    acquired = spec.get("acquireTime") if renewing else None
    return {
        **spec,
        "holderIdentity": identity,
        "leaseDurationSeconds": LEASE_SECONDS,
        "acquireTime": acquired or rfc3339_micro(now),
        "renewTime": rfc3339_micro(now),
        # A lease that its holder let go counts too; only the first holder ever does not.
        "leaseTransitions": transitions + (0 if renewing or not spec else 1),
    }


def is_free(spec: Obj, identity: str, seen: Observed | None, monotonic: float) -> bool:
    """Ours, unheld, or not renewed for its duration since we first saw it so."""
    holder = spec.get("holderIdentity") or ""
    if holder in ("", identity):
        return True
    duration = float(spec.get("leaseDurationSeconds") or LEASE_SECONDS)
    return seen is not None and monotonic >= seen.at_seconds + duration


async def lead(election: Election, work: Callable[[], Awaitable[None]]) -> None:
    """Wait for the lease, run work while it is held, release it when cancelled.

    Raises LostLease when it could not be renewed; the caller's process should end.
    """
    held = await _acquire(election)
    log.info("became leader", extra={"lease": election.name, "identity": election.identity})
    working = asyncio.get_running_loop().create_task(_run(work), name=f"leader {election.name}")
    renewing = asyncio.get_running_loop().create_task(_renew(election, held), name="renew")
    try:
        done, _ = await asyncio.wait({working, renewing}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in (working, renewing):
            task.cancel()
        await asyncio.gather(working, renewing, return_exceptions=True)
        await _release(election)


async def _run(work: Callable[[], Awaitable[None]]) -> None:
    await work()


async def _acquire(election: Election) -> Obj:
    """Wait until the lease is ours; returns it as it was written."""
    seen: Observed | None = None
    while True:
        try:
            held, seen = await _try(election, seen)
            if held is not None:
                return held
        except ApiError as exc:
            log.info("lease not acquired", extra={"lease": election.name, "why": exc.message})
        await election.clock.sleep(RETRY_SECONDS)


async def _try(election: Election, seen: Observed | None) -> tuple[Obj | None, Observed | None]:
    """Take or renew the lease: the lease as written when it is ours, else what was seen."""
    clock, client = election.clock, election.client
    try:
        lease = await client.get(LEASES, election.name, election.namespace)
    except NotFound:
        fresh = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": election.name, "namespace": election.namespace},
            "spec": wanted_spec({}, election.identity, clock.now()),
        }
        return await client.create(LEASES, fresh), None
    spec: Obj = lease.get("spec") or {}
    record = (str(spec.get("holderIdentity")), str(spec.get("renewTime")))
    if seen is None or seen.record != record:
        seen = Observed(record, clock.monotonic())
    if not is_free(spec, election.identity, seen, clock.monotonic()):
        return None, seen
    wanted = {**lease, "spec": wanted_spec(spec, election.identity, clock.now())}
    return await client.update(LEASES, wanted), None


async def _renew_once(election: Election, held: Obj) -> Obj | None:
    """Write the lease over what we last wrote: one request while nobody else writes it.

    Returns the lease as written; None when somebody else holds it. Source: tryAcquireOrRenew's
    fast path.
    """
    spec = wanted_spec(held.get("spec") or {}, election.identity, election.clock.now())
    try:
        return await election.client.update(LEASES, {**held, "spec": spec})
    except (Conflict, NotFound):
        written, _ = await _try(election, None)
        return written


async def _renew(election: Election, held: Obj) -> None:
    renewed = election.clock.monotonic()
    while True:
        await election.clock.sleep(RETRY_SECONDS)
        try:
            async with asyncio.timeout(RENEW_DEADLINE_SECONDS):
                written = await _renew_once(election, held)
                if written is not None:
                    held, renewed = written, election.clock.monotonic()
                    continue
            raise LostLease(f"lease {election.name} is held by somebody else")
        except (ApiError, TimeoutError) as exc:
            log.warning("lease not renewed", extra={"lease": election.name, "why": str(exc)})
        if election.clock.monotonic() - renewed >= RENEW_DEADLINE_SECONDS:
            raise LostLease(f"lease {election.name} was not renewed in time")


async def _release(election: Election) -> None:
    """Let the next one in at once; best effort, the lease ends by itself."""
    try:
        async with asyncio.timeout(1.0):
            lease = await election.client.get(LEASES, election.name, election.namespace)
            if at(lease, "spec", "holderIdentity") != election.identity:
                return
            spec = {
                **lease["spec"],
                "holderIdentity": "",
                "leaseDurationSeconds": 1,
                "renewTime": rfc3339_micro(election.clock.now()),
            }
            await election.client.update(LEASES, {**lease, "spec": spec})
    except (ApiError, TimeoutError):
        log.info("lease not released", extra={"lease": election.name})


def is_stale(spec: Obj, now: datetime) -> bool:
    """Whether a lease's own times say that it has run out (for reports only)."""
    renewed = spec.get("renewTime")
    if not renewed:
        return True
    duration = timedelta(seconds=int(spec.get("leaseDurationSeconds") or 0))
    return parse_time(renewed) + duration < now
