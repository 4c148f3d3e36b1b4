"""Faults on demand, in front of the real server: what a client must survive.

A fault answers in the server's place, makes it slow, or loses its answer. It meets the requests
that its resource, verb, namespace and name say, so many times. Components inside are spared unless
a fault is for everybody: it is the test's client that is tested.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Literal

from tiphys.api.errors import (
    OBJECT_MODIFIED,
    ApiError,
    Expired,
    InternalError,
    ServiceUnavailable,
    Timeout,
    TooManyRequests,
    conflict,
)
from tiphys.apiserver.request_info import RequestInfo, parse_request
from tiphys.apiserver.responses import error_response
from tiphys.apiserver.verbs.watch import error_event
from tiphys.lib.http.flow import BodyWriter, RawStream
from tiphys.lib.http.message import (
    Answer,
    Handler,
    Request,
    Response,
    StreamResponse,
    UpgradeResponse,
)
from tiphys.lib.tasks import TaskSet

Who = Literal["clients", "components", "everybody"]
Effect = Literal["error", "drop", "lose", "delay"]
ANY: Final = "*"
LEFT_SECONDS: Final = 1.0  # How long a client whose watch ended is waited for, of real time.


@dataclass(slots=True, eq=False)
class Fault:
    """One fault; as a context manager it ends with the block. `hits` counts whom it met."""

    effect: Effect
    verb: str = ANY
    resource: str = ANY  # `pods`, `pods/status`, `deployments`
    namespace: str = ANY
    name: str = ANY
    times: int | None = None  # None: until it is removed
    chance: float = 1.0
    code: int = 0
    seconds: float = 0.0  # A delay's; a 429's Retry-After
    who: Who = "clients"
    hits: int = 0
    remove: Callable[["Fault"], None] = field(default=lambda fault: None, repr=False)

    def __enter__(self) -> "Fault":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.remove(self)

    def meets(self, info: RequestInfo) -> bool:
        """Whether this is a request that it is for."""
        resource = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
        asked = (info.verb, resource, info.namespace, info.name)
        wanted = (self.verb, self.resource, self.namespace, self.name)
        return info.is_resource and all(w in (ANY, a) for w, a in zip(wanted, asked, strict=True))


def error_for(code: int, info: RequestInfo, seconds: float) -> ApiError:
    """What the server would say with this code."""
    if code == 409:
        return conflict(info.group, info.resource, info.name, OBJECT_MODIFIED)
    if code == 410:
        return Expired("The resourceVersion for the provided watch is too old.")
    if code == 429:
        text = "The server has received too many requests and has asked us to try again later"
        return TooManyRequests(text, retry_after_seconds=max(1, round(seconds)))
    made = {500: InternalError, 503: ServiceUnavailable, 504: Timeout}.get(code, ApiError)
    reason = "" if made is ApiError else None
    return made(f"injected fault: {code}", code=code, reason=reason)


class Faults:
    """All faults of a cluster. The methods that tests call are `Cluster.faults`' own."""

    def __init__(self, rng: random.Random) -> None:
        self.inner: Handler | None = None
        self.active: list[Fault] = []
        self._rng = rng
        self._watches: dict[asyncio.Future[bytes], RequestInfo] = {}
        self._tasks = TaskSet()
        self._left_at = -LEFT_SECONDS
        self.stir: Callable[[], None] = lambda: None
        """Called when a client has something to react to that is no write."""

    @property
    def watch_count(self) -> int:
        """Watches of clients outside."""
        return len(self._watches)

    @property
    def has_watchers(self) -> bool:
        """Whether anybody outside watches, or did a moment ago and is about to come back."""
        return bool(self._watches) or time.monotonic() - self._left_at < LEFT_SECONDS

    def outside(self, request: Request) -> Answer | Awaitable[Answer]:
        """The handler for clients outside."""
        if self.inner is None:
            return _hung_up()
        fault, info = self._met(request, ("clients", "everybody"))
        answer = self.inner(request) if fault is None else self._struck(request, fault, info)
        if isinstance(answer, StreamResponse):
            return self._cuttable(request, answer)
        return (
            answer
            if isinstance(answer, (Response, UpgradeResponse))
            else self._late(request, answer)
        )

    def inside(self, request: Request) -> Answer | Awaitable[Answer]:
        """The handler for components."""
        if self.inner is None:
            return _hung_up()
        fault, info = self._met(request, ("components", "everybody"))
        return self.inner(request) if fault is None else self._struck(request, fault, info)

    def cut_watches(self, resource: str, last_words: bytes) -> int:
        """End the watches of a resource (`*`: all); without last words, as a broken connection."""
        met = [f for f, info in self._watches.items() if resource in (ANY, info.resource)]
        for future in met:
            if not future.done():
                future.set_result(last_words)
        return len(met)

    def _met(self, request: Request, who: tuple[str, str]) -> tuple[Fault | None, RequestInfo]:
        if not self.active:
            return None, _NOBODY
        info = parse_request(request.method, request.raw_path, request.query)
        for fault in self.active:
            if fault.who not in who or not fault.meets(info):
                continue
            if fault.chance < 1.0 and self._rng.random() >= fault.chance:
                continue
            fault.hits += 1
            if fault.times is not None and fault.hits >= fault.times:
                self.active.remove(fault)
            return fault, info
        return None, info

    def _struck(
        self, request: Request, fault: Fault, info: RequestInfo
    ) -> Answer | Awaitable[Answer]:
        if fault.effect == "error":
            error = error_for(fault.code, info, fault.seconds)
            return error_response(error, request.headers.get("accept", ""))
        if fault.effect == "drop":
            return _hung_up()
        return self._slowly(request, fault)

    async def _slowly(self, request: Request, fault: Fault) -> Answer:
        if fault.effect == "delay":
            await asyncio.sleep(fault.seconds)
        if self.inner is None:
            return _hung_up()
        work = self.inner(request)
        answer = await work if isinstance(work, Awaitable) else work
        return _hung_up() if fault.effect == "lose" else answer

    async def _late(self, request: Request, work: Awaitable[Answer]) -> Answer:
        answer = await work
        return self._cuttable(request, answer) if isinstance(answer, StreamResponse) else answer

    def _cuttable(self, request: Request, answer: StreamResponse) -> StreamResponse:
        info = parse_request(request.method, request.raw_path, request.query)
        if info.verb != "watch":
            return answer
        write_body = answer.write_body

        async def follow(body: BodyWriter) -> None:
            cut: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
            self._watches[cut] = info
            work = self._tasks.start(_awaited(write_body(body)), "watch")
            try:
                await asyncio.wait((work, cut), return_when=asyncio.FIRST_COMPLETED)
                if work.done():
                    work.result()
                elif last_words := cut.result():
                    body.write(last_words)
                else:
                    body.abort()
            finally:
                del self._watches[cut]
                self._left_at = time.monotonic()
                self.stir()
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)

        answer.write_body = follow
        return answer


EXPIRED_EVENT: Final = error_event(
    Expired("The resourceVersion for the provided watch is too old.")
)
_NOBODY: Final = RequestInfo("", "")


async def _awaited(work: Awaitable[None]) -> None:
    await work


def _hung_up() -> UpgradeResponse:
    """No answer at all: the connection closes."""
    return UpgradeResponse(_close, send_head=False)


async def _close(stream: RawStream) -> None:
    stream.close()
