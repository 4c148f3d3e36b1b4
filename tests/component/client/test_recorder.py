"""Events in a real API server: counted, bounded, never in the way."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from support.client_rig import Rig, Tell
from tiphys.api.meta import Obj, name_of
from tiphys.client.recorder import EVENTS, QUEUED_MAX, REMEMBERED_MAX, EventRecorder
from tiphys.client.rest import Client
from tiphys.lib.clock import SystemClock
from tiphys.lib.tasks import TaskSet

POD: Obj = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "namespace": "default", "uid": "u"},
}


@asynccontextmanager
async def recording(
    client: Client, *, remembered_max: int = REMEMBERED_MAX
) -> AsyncIterator[EventRecorder]:
    recorder = EventRecorder(client, "test", SystemClock(), remembered_max=remembered_max)
    tasks = TaskSet()
    tasks.start(recorder.run(), "events")
    try:
        yield recorder
    finally:
        await tasks.close()


async def counts(client: Client) -> list[tuple[str, int]]:
    """(message, count) of all events."""
    found = await client.list(EVENTS, "default")
    return sorted((e["message"], e["count"]) for e in found["items"])


def test_equal_events_are_counted(tell: Tell) -> None:
    async def story(rig: Rig) -> None:
        client = rig.direct()
        async with recording(client) as recorder:
            for _ in range(5):
                recorder.event(POD, "Warning", "BackOff", "again")
            recorder.event(POD, "Warning", "BackOff", "something else")
            await recorder.drained()
        assert await counts(client) == [("again", 5), ("something else", 1)]
        (event, _) = (await client.list(EVENTS, "default"))["items"]
        assert event["firstTimestamp"] <= event["lastTimestamp"]
        assert event["involvedObject"]["uid"] == "u"

    tell(story)


def test_an_event_that_is_gone_begins_anew(tell: Tell) -> None:
    async def story(rig: Rig) -> None:
        client = rig.direct()
        async with recording(client) as recorder:
            recorder.event(POD, "Normal", "Pulled", "image")
            await recorder.drained()
            (event,) = (await client.list(EVENTS, "default"))["items"]
            await client.delete(EVENTS, name_of(event), "default")
            recorder.event(POD, "Normal", "Pulled", "image")
            await recorder.drained()
        assert await counts(client) == [("image", 1)]

    tell(story)


def test_only_the_latest_are_remembered(tell: Tell) -> None:
    async def story(rig: Rig) -> None:
        client = rig.direct()
        async with recording(client, remembered_max=2) as recorder:
            for message in ("a", "b", "a", "c", "a", "b"):
                recorder.event(POD, "Normal", "R", message)
            await recorder.drained()
        assert await counts(client) == [("a", 3), ("b", 1), ("b", 1), ("c", 1)]

    tell(story)


def test_noting_never_blocks_when_nothing_is_written(tell: Tell) -> None:
    async def story(rig: Rig) -> None:
        recorder = EventRecorder(rig.direct(), "test", SystemClock())
        for n in range(QUEUED_MAX + 10):
            recorder.event(POD, "Normal", "R", str(n))
        assert recorder.waiting == QUEUED_MAX

    tell(story)
