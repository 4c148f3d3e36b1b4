"""The informer against a real API server: cut connections, versions too old, nothing told twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from support.client_rig import Rig, Tell
from tiphys.api.meta import GroupVersionResource, Obj, name_of
from tiphys.client.informer import Informer
from tiphys.client.rest import Client
from tiphys.lib.tasks import TaskSet
from tiphys.storage import watch_cache

CONFIG_MAPS = GroupVersionResource("", "v1", "configmaps")
Told = tuple[str, str, str]  # (what, name, value)


class Log:
    """What an informer told, in order."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self._changed = asyncio.Event()

    def listen(self, old: Obj | None, new: Obj | None) -> None:
        shown = new or old
        assert shown is not None
        what = "added" if old is None else "gone" if new is None else "changed"
        self.told.append((what, name_of(shown), shown["data"]["k"]))
        self._changed.set()

    async def until(self, last: Told) -> list[Told]:
        """Everything told, once `last` was."""
        while last not in self.told:
            self._changed.clear()
            await self._changed.wait()
        return self.told


def a_map(name: str, value: str = "1") -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"},
        "data": {"k": value},
    }


async def write(client: Client, *changes: Told) -> None:
    for what, name, value in changes:
        if what == "added":
            await client.create(CONFIG_MAPS, a_map(name, value))
        elif what == "changed":
            await client.update(CONFIG_MAPS, a_map(name, value))
        else:
            await client.delete(CONFIG_MAPS, name, "default")


@asynccontextmanager
async def informed(rig: Rig) -> AsyncIterator[tuple[Informer, Log]]:
    informer, log, tasks = (
        Informer(rig.relayed(), CONFIG_MAPS, namespace="default"),
        Log(),
        TaskSet(),
    )
    informer.on_change(log.listen)
    tasks.start(informer.run(), "informer")
    try:
        await informer.synced()
        yield informer, log
    finally:
        await tasks.close()


def test_what_is_there_and_what_comes_is_told_in_order(tell: Tell) -> None:
    async def story(rig: Rig) -> None:
        writer = rig.direct()
        first: Told = ("added", "a", "1")
        await write(writer, first)
        async with informed(rig) as (informer, log):
            later: list[Told] = [("added", "b", "1"), ("changed", "a", "2"), ("gone", "b", "1")]
            await write(writer, *later)
            assert await log.until(later[-1]) == [first, *later]
            assert [name_of(o) for o in informer.items()] == ["a"]

    tell(story)


def test_a_dropped_watch_goes_on_where_it_was(tell: Tell) -> None:
    """Every change made meanwhile is told, and none twice: not only the difference."""

    async def story(rig: Rig) -> None:
        writer = rig.direct()
        async with informed(rig) as (_, log):
            before: Told = ("added", "a", "1")
            await write(writer, before)
            await log.until(before)
            rig.relay.cut(refuse=True)
            meanwhile: list[Told] = [
                ("changed", "a", "2"),
                ("added", "b", "1"),
                ("gone", "b", "1"),
                ("changed", "a", "3"),
            ]
            await write(writer, *meanwhile)
            rig.relay.heal()
            assert await log.until(meanwhile[-1]) == [before, *meanwhile]

    tell(story)


def test_many_cuts_lose_and_double_nothing(tell: Tell) -> None:
    async def story(rig: Rig) -> None:
        writer = rig.direct()
        changes: list[Told] = [("added", f"m{n}", "1") for n in range(40)]
        async with informed(rig) as (_, log):
            for n, change in enumerate(changes):
                await write(writer, change)
                if n % 8 == 0:
                    rig.relay.cut()
            assert await log.until(changes[-1]) == changes

    tell(story)


def test_a_version_too_old_is_read_anew_and_the_difference_told(
    tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_cache, "WINDOW_EVENTS_MAX", 4)  # So that few writes make it 410.

    async def story(rig: Rig) -> None:
        writer = rig.direct()
        start: list[Told] = [("added", name, "1") for name in ("a", "b", "same")]
        async with informed(rig) as (informer, log):
            await write(writer, *start)
            await log.until(start[-1])
            rig.relay.cut(refuse=True)
            await write(
                writer, ("gone", "a", "1"), *[("changed", "b", str(n)) for n in range(2, 9)]
            )
            await write(writer, ("added", "c", "1"))
            rig.relay.heal()
            told = await log.until(("added", "c", "1"))
            assert told[:3] == start
            assert sorted(told[3:]) == [
                ("added", "c", "1"),
                ("changed", "b", "8"),
                ("gone", "a", "1"),
            ]
            assert {name_of(o) for o in informer.items()} == {"b", "c", "same"}
            # And it watches on.
            await write(writer, ("changed", "c", "2"))
            await log.until(("changed", "c", "2"))

    tell(story)
