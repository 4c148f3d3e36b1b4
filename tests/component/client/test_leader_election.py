"""Leader election with real Leases: one at a time, handed over, lost."""

import asyncio
import time
from datetime import UTC, datetime

import pytest

from support.client_rig import Rig, Tell
from tiphys.api.meta import Obj, at
from tiphys.client.leader_election import LEASES, Election, LostLease, lead
from tiphys.client.rest import Client
from tiphys.lib.tasks import TaskSet

SPEED = 40.0


class FastClock:
    """A clock whose monotonic seconds pass faster, so that a lease runs out in less than one."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic() * SPEED

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / SPEED)


class Candidate:
    """Somebody who wants to lead, and whether they do."""

    leading: set[str]

    def __init__(self, client: Client, identity: str, leading: set[str]) -> None:
        self.identity = identity
        self.began = asyncio.Event()
        self.leading = leading
        self.most = 0
        self._election = Election(client, "kube-system", "test", identity, FastClock())

    async def run(self) -> None:
        await lead(self._election, self._work)

    async def _work(self) -> None:
        self.leading.add(self.identity)
        self.most = len(self.leading)
        self.began.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.leading.discard(self.identity)


async def the_lease(client: Client) -> Obj:
    return await client.get(LEASES, "test", "kube-system")


async def renewed(client: Client, times: int) -> Obj:
    """The lease after so many more renewals."""
    seen = {at(await the_lease(client), "spec", "renewTime")}
    while len(seen) <= times:
        await asyncio.sleep(0.01)
        lease = await the_lease(client)
        seen.add(at(lease, "spec", "renewTime"))
    return lease


def test_one_leads_and_the_other_takes_over_when_it_ends(tell: Tell) -> None:
    async def story(rig: Rig) -> None:
        client, tasks, leading = rig.direct(), TaskSet(), set[str]()
        a, b = Candidate(client, "a", leading), Candidate(rig.direct(), "b", leading)
        first = tasks.start(a.run(), "a")
        await a.began.wait()
        tasks.start(b.run(), "b")
        lease = await renewed(client, 3)
        assert at(lease, "spec", "holderIdentity") == "a"
        assert not b.began.is_set()
        first.cancel()
        await b.began.wait()
        assert b.most == 1
        lease = await the_lease(client)
        assert at(lease, "spec", "holderIdentity") == "b"
        assert at(lease, "spec", "leaseTransitions") == 1
        await tasks.close()
        assert at(await the_lease(client), "spec", "holderIdentity", default="") == ""

    tell(story)


def test_a_holder_that_fell_silent_is_followed_after_the_lease_has_run_out(tell: Tell) -> None:
    async def story(rig: Rig) -> None:
        client, tasks = rig.direct(), TaskSet()
        silent = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "test", "namespace": "kube-system"},
            "spec": {
                "holderIdentity": "silent",
                "leaseDurationSeconds": 15,
                "renewTime": "2020-01-01T00:00:00.000000Z",  # Its clock says nothing to us.
            },
        }
        await client.create(LEASES, silent)
        began = time.monotonic() * SPEED
        candidate = Candidate(client, "b", set())
        tasks.start(candidate.run(), "b")
        await candidate.began.wait()
        assert time.monotonic() * SPEED - began >= 15
        await tasks.close()

    tell(story)


def test_renewing_survives_that_somebody_else_edits_the_lease(tell: Tell) -> None:
    async def story(rig: Rig) -> None:
        client, tasks = rig.direct(), TaskSet()
        candidate = Candidate(rig.direct(), "a", set())
        tasks.start(candidate.run(), "a")
        await candidate.began.wait()
        patch = {"metadata": {"labels": {"mine": "too"}}}
        await client.patch(LEASES, "test", patch, "kube-system", kind="merge")
        lease = await renewed(client, 3)
        assert at(lease, "metadata", "labels") == {"mine": "too"}
        assert candidate.leading == {"a"}
        await tasks.close()

    tell(story)


def test_a_lease_that_another_took_ends_the_work(tell: Tell) -> None:
    async def story(rig: Rig) -> None:
        client, tasks = rig.direct(), TaskSet()
        candidate = Candidate(rig.direct(), "a", set())
        running = tasks.start(candidate.run(), "a")
        await candidate.began.wait()
        patch = {"spec": {"holderIdentity": "thief"}}
        await client.patch(LEASES, "test", patch, "kube-system", kind="merge")
        with pytest.raises(LostLease):
            await running
        assert not candidate.leading
        assert at(await the_lease(client), "spec", "holderIdentity") == "thief"

    tell(story)
