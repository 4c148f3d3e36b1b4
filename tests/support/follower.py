"""A client that lists, watches, and keeps what it was told: what every informer does.

What it saw is kept, so that a test can compare it with what happened.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from support.api_server import Api
from tiphys.lib.http.client import HttpError, Stream

PAGE: Final = 3  # Objects of a page of a list.
RETRY_SECONDS: Final = 0.005
_ENDS: Final = "k8s.io/initial-events-end"


class Seen(NamedTuple):
    """One event, or one object of a list (`type` is then LISTED)."""

    type: str
    name: str
    revision: int


@dataclass
class Life:
    """What was seen from one list on: `listed` at `revision`, then `events`."""

    revision: int
    listed: dict[str, int]
    events: list[Seen] = field(default_factory=list)


@dataclass
class Follower:
    """`way`: how it begins: "list" (in pages), "stream" (sendInitialEvents) or "any" (rv=0).

    `api` gives the client of now: servers are started again.
    """

    api: Callable[[], Api]
    path: str
    query: str
    way: str = "list"
    lives: list[Life] = field(default_factory=list)
    state: dict[str, dict[str, Any]] = field(default_factory=dict)
    expired: int = 0  # How often its revision was too old.
    dropped: int = 0  # How often a watch ended.
    _reads: asyncio.Event = field(default_factory=asyncio.Event)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None
    _revision: int = 0

    async def start(self) -> None:
        """Return once it has seen what there was."""
        self._reads.set()
        self._task = asyncio.get_running_loop().create_task(self._run())
        while not self.lives:
            await self._tick()

    def stall(self) -> None:
        """Stop reading: what is sent stays in the connection, and then in the server."""
        self._reads.clear()

    def resume(self) -> None:
        self._reads.set()

    async def stop(self) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])

    async def until(self, is_done: Callable[[], bool], seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                while not is_done():
                    await self._tick()
        except TimeoutError:
            return False
        return True

    async def _tick(self) -> None:
        """Until something was seen. Raises what the follower failed with."""
        assert self._task is not None
        self._changed.clear()
        waiting = asyncio.get_running_loop().create_task(self._changed.wait())
        await asyncio.wait([waiting, self._task], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._task.done() and not self._task.cancelled():
            self._task.result()

    # --- listing and watching

    async def _run(self) -> None:
        while True:
            try:
                if self._revision == 0:
                    await self._begin()
                await self._watch(f"resourceVersion={self._revision}&allowWatchBookmarks=true")
            except (HttpError, OSError):
                await asyncio.sleep(RETRY_SECONDS)  # The server is being started again.
            self.dropped += 1

    async def _begin(self) -> None:
        if self.way == "list":
            await self._list()
        elif self.way == "stream":
            await self._watch(
                "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
            )
        else:
            await self._watch(
                "resourceVersion=0&allowWatchBookmarks=true&sendInitialEvents=true"
                "&resourceVersionMatch=NotOlderThan"
            )

    async def _list(self) -> None:
        found: dict[str, dict[str, Any]] = {}
        token, revision = "", 0
        while True:
            more = f"&continue={token}" if token else ""
            status, page = await self.api()("GET", f"{self.path}?limit={PAGE}{self.query}{more}")
            if status == 410:
                self.expired += 1
                return
            assert status == 200, page
            assert revision in {0, int(page["metadata"]["resourceVersion"])}, (
                "pages of one snapshot"
            )
            revision = int(page["metadata"]["resourceVersion"])
            for item in page["items"]:
                assert item["metadata"]["name"] not in found, "an object came twice in one list"
                found[item["metadata"]["name"]] = item
            token = page["metadata"].get("continue", "")
            if not token:
                break
        self._live(revision, found)

    def _live(self, revision: int, found: dict[str, dict[str, Any]]) -> None:
        self.state = found
        listed = {n: int(o["metadata"]["resourceVersion"]) for n, o in found.items()}
        self.lives.append(Life(revision, listed))
        self._revision = revision
        self._changed.set()

    async def _watch(self, how: str) -> None:
        stream = await self.api().http.stream("GET", f"{self.path}?watch=1&{how}{self.query}")
        if stream.status == 410:
            self._too_old()
            stream.close()
            return
        assert stream.status == 200, stream.status
        try:
            await self._read(stream)
        finally:
            stream.close()

    async def _read(self, stream: Stream) -> None:
        initial: dict[str, dict[str, Any]] | None = None if self._revision else {}
        async for line in stream.lines():
            await self._reads.wait()
            event = json.loads(line)
            kind, obj = event["type"], event["object"]
            if kind == "ERROR":
                assert obj["code"] == 410, obj
                self._too_old()
                return
            if initial is not None:
                initial = self._initial(kind, obj, initial)
            elif kind == "BOOKMARK":
                self._revision = int(obj["metadata"]["resourceVersion"])
            else:
                self._take(kind, obj)
            self._changed.set()

    def _initial(
        self, kind: str, obj: dict[str, Any], found: dict[str, dict[str, Any]]
    ) -> dict[str, dict[str, Any]] | None:
        """Objects until the bookmark that ends them."""
        metadata = obj["metadata"]
        if kind == "BOOKMARK" and metadata.get("annotations", {}).get(_ENDS) == "true":
            self._live(int(metadata["resourceVersion"]), found)
            return None
        assert kind == "ADDED", kind
        return found | {metadata["name"]: obj}

    def _take(self, kind: str, obj: dict[str, Any]) -> None:
        name, revision = obj["metadata"]["name"], int(obj["metadata"]["resourceVersion"])
        assert revision > self._revision, f"{kind} {name} of {revision} after {self._revision}"
        assert (name in self.state) == (kind != "ADDED"), f"{kind} of {name}"
        if kind == "DELETED":
            del self.state[name]
        else:
            self.state[name] = obj
        self._revision = revision
        self.lives[-1].events.append(Seen(kind, name, revision))

    def _too_old(self) -> None:
        self.expired += 1
        self._revision = 0
