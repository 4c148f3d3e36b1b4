"""Events of a real API server are in the store once, whatever ends in between."""

import asyncio
from pathlib import Path
from typing import Any

from support.client_rig import Rig, Tell
from tiphys.api.meta import GroupVersionResource, Obj
from tiphys.client.rest import Client
from tiphys.lib.clock import SystemClock
from tiphys.lib.tasks import TaskSet, keep_running
from tiphys.logstore.events import EventFollower
from tiphys.logstore.index import EVENTS, Filter
from tiphys.logstore.pattern import text_pattern
from tiphys.logstore.search import Hit, LogReader
from tiphys.logstore.store import LogStore

RESOURCE = GroupVersionResource("", "v1", "events")


def an_event(number: int) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"e{number}", "namespace": "default"},
        "involvedObject": {"kind": "Pod", "namespace": "default", "name": "web", "uid": "u1"},
        "type": "Warning",
        "reason": "BackOff",
        "message": f"number {number}.",
        "source": {"component": "kubelet", "host": "n1"},
        "lastTimestamp": "2026-11-28T10:00:00Z",
        "count": 1,
    }


def stored(directory: Path, text: str = "number", **wanted: Any) -> list[Hit]:
    reader = LogReader(directory)
    try:
        return reader.search(text_pattern(text), Filter(origin=EVENTS, **wanted), 0)
    finally:
        reader.close()


class Following:
    """A follower that flushes until so many lines are there; then it ends, as if killed."""

    def __init__(self, client: Client, directory: Path) -> None:
        self._client = client
        self._directory = directory

    async def until(self, count: int) -> list[str]:
        tasks = TaskSet()
        with LogStore(self._directory) as store:
            follower = EventFollower(self._client, store, lambda uid: {"app": uid}, SystemClock())
            tasks.start(keep_running("events", follower.run), "events")
            while len(found := stored(self._directory)) < count:
                follower.flush()
                await asyncio.sleep(0.02)
            await tasks.close()
        return sorted(hit.text for hit in found)


def test_each_change_of_an_event_is_there_once(tell: Tell, tmp_path: Path) -> None:
    directory = tmp_path / "store"

    async def story(rig: Rig) -> None:
        admin = rig.direct()
        following = Following(admin, directory)
        for number in range(3):
            await admin.create(RESOURCE, an_event(number))
        assert len(await following.until(3)) == 3
        await admin.create(RESOURCE, an_event(3))  # While nobody follows.
        changed = {"count": 7, "message": "number 0 again."}
        await admin.patch(RESOURCE, "e0", changed, "default", kind="merge")
        texts = await following.until(5)
        assert texts[0] == "Warning BackOff Pod/web kubelet: number 0 again. (x7)"
        assert [t.partition("number ")[2][:2] for t in texts[1:]] == ["0.", "1.", "2.", "3."]
        assert await following.until(5) == texts, "nothing twice"
        found = stored(directory, pod="web", namespace="default", node="n1")
        assert len(found) == 5

    tell(story)


def test_a_watch_that_is_too_old_begins_with_the_list(tell: Tell, tmp_path: Path) -> None:
    directory = tmp_path / "store"

    async def story(rig: Rig) -> None:
        admin = rig.direct()
        await admin.create(RESOURCE, an_event(1))
        with LogStore(directory) as store:
            follower = EventFollower(admin, store, lambda uid: {}, SystemClock())
            follower._read = 1  # Long ago: the server answers 410, or tells all since.
            tasks = TaskSet()
            tasks.start(keep_running("events", follower.run), "events")
            while not stored(directory):
                follower.flush()
                await asyncio.sleep(0.02)
            await tasks.close()
        assert len(stored(directory)) == 1

    tell(story)
