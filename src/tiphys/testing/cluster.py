"""A cluster for tests: the real API server, controllers and scheduler, and simulated nodes.

    with Cluster() as cluster:
        os.environ["KUBECONFIG"] = str(cluster.kubeconfig)
        ...
        cluster.wait_for("deployment/web", "Available")

It lives in a thread of its own, needs no rights and leaves nothing behind. docs/testing.md shows
the rest. All methods may be called from any thread but the cluster's own.
"""

import asyncio
import gc
import itertools
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, TypeVar

from tiphys.api.meta import Obj
from tiphys.client import kubeconfig
from tiphys.client.kubeconfig import Access
from tiphys.client.rest import Client
from tiphys.testing.access import Credentials, write_kubeconfig
from tiphys.testing.certificates import session_keys
from tiphys.testing.clock import VirtualLoop
from tiphys.testing.control_plane import ControlPlane, Options
from tiphys.testing.controls import ClockControl, FaultControl, NodeControl, PodControl
from tiphys.testing.objects import Objects
from tiphys.testing.snapshot import SNAPSHOTS
from tiphys.testing.spans import Span, seconds_of
from tiphys.testing.story import tell
from tiphys.testing.waiting import Condition, WaitFailed, described, holds

Time = Literal["flowing", "frozen"]
Result = TypeVar("Result")

START_SECONDS_MAX: Final = 30.0
CALL_SECONDS_MAX: Final = 600.0  # An advance over months takes minutes.
LOOK_SECONDS: Final = 0.05  # How often a function is asked again that no write wakes.
RESTLESS_SECONDS_MAX: Final = 2.0  # How long frozen time waits for clients that never rest.
ROUNDING_SECONDS: Final = 1e-6  # A float of a year's seconds is exact to 4e-9.
STEP_SECONDS: Final = 1.0  # How far frozen time goes between two looks.
_numbers = itertools.count(1)


class ClusterError(Exception):
    """The cluster did not start, or is not running: why, and what to do."""


class Cluster:
    """See the module. `start` and `stop`, or `with`."""

    def __init__(
        self,
        *,
        nodes: int = 1,
        time: Time = "flowing",
        start_at: datetime | None = None,
        seed: int = 0,
        controllers: bool = True,
        scheduler: bool = True,
    ) -> None:
        """nodes: simulated ones; frozen time stands until it is advanced or waited for.

        start_at: what time it is at first. The same seed gives the same names, addresses and order.
        """
        if start_at is not None and start_at.tzinfo is None:
            raise ValueError("start_at needs a time zone: datetime(..., tzinfo=UTC)")
        self.options = Options(nodes, seed, start_at, time == "frozen", controllers, scheduler)
        self._thread: threading.Thread | None = None
        self._loop: VirtualLoop | None = None
        self._plane: ControlPlane | None = None
        self._end: asyncio.Event | None = None
        self._error: BaseException | None = None
        self._number = next(_numbers)
        self._credentials: Credentials | None = None
        self._has_outsiders = False  # Whether anybody was told how to reach it.

    # --- life

    def start(self) -> "Cluster":
        """Return when everything is ready. Raises ClusterError."""
        if self._thread is not None:
            raise ClusterError("this cluster runs already: make another one")
        ready = threading.Event()
        self._thread = threading.Thread(
            target=self._live, args=(ready,), name=f"tiphys cluster {self._number}", daemon=True
        )
        collects = gc.isenabled()
        gc.disable()  # All that is made now stays: looking for garbage in it finds none.
        try:
            self._thread.start()
            is_ready = ready.wait(START_SECONDS_MAX)
        finally:
            if collects:
                gc.enable()
        if self._error is not None:
            raise ClusterError(f"the cluster did not start: {self._error}") from self._error
        if not is_ready:
            raise ClusterError(f"the cluster was not ready in {START_SECONDS_MAX:g} s")
        return self

    def stop(self) -> None:
        """End everything; what is left of it is garbage."""
        loop, end, thread = self._loop, self._end, self._thread
        if loop is None or end is None or thread is None:
            return
        loop.call_soon_threadsafe(end.set)
        thread.join(START_SECONDS_MAX)
        self._loop = self._plane = None
        self.kubeconfig_path.unlink(missing_ok=True)

    def __enter__(self) -> "Cluster":
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _live(self, ready: threading.Event) -> None:
        loop = VirtualLoop()
        try:
            if self.options.is_whole and not SNAPSHOTS.has(self.options.shape):
                prepare(self.options)
            loop.run_until_complete(self._run(loop, ready))
        except BaseException as exc:  # noqa: BLE001 - told to the thread that waits for us
            self._error = exc
        finally:
            ready.set()
            loop.close()

    async def _run(self, loop: VirtualLoop, ready: threading.Event) -> None:
        plane = ControlPlane(session_keys(), self.options, loop)
        self._end = asyncio.Event()
        try:
            await plane.start()
            write_kubeconfig(self.kubeconfig_path, plane)
            self._loop, self._plane = loop, plane
            ready.set()
            await self._end.wait()
        finally:
            await plane.stop()

    # --- how to reach it

    @property
    def plane(self) -> ControlPlane:
        """The parts. Raises ClusterError when the cluster does not run."""
        if self._plane is None:
            raise ClusterError("the cluster does not run: start it, or use it in a with block")
        return self._plane

    @property
    def url(self) -> str:
        self._has_outsiders = True
        return f"https://127.0.0.1:{self.plane.port}"

    @property
    def ca(self) -> Path:
        """The authority's certificate (PEM), by which the server is verified."""
        return self.plane.keys.ca

    @property
    def kubeconfig_path(self) -> Path:
        return session_keys().directory / f"kubeconfig-{self._number}"

    @property
    def kubeconfig(self) -> Path:
        """A file for the administrator, as long as the cluster runs."""
        assert self.plane
        self._has_outsiders = True
        return self.kubeconfig_path

    @property
    def token(self) -> str:
        """A bearer token of a ServiceAccount that may do everything."""
        if self._credentials is None:
            self._credentials = Credentials(self.plane)
        return self.call(self._credentials.token())

    def access(self) -> Access:
        """For Tiphys' own client: who the administrator is and where the server."""
        return kubeconfig.load(self.kubeconfig)

    def client(self) -> Client:
        """Tiphys' own asynchronous client, for the event loop of the caller; over TLS."""
        return Client(self.access())

    # --- what a test does with it

    @property
    def clock(self) -> ClockControl:
        return ClockControl(self.plane, self.call)

    @property
    def faults(self) -> FaultControl:
        return FaultControl(self.plane, self.call)

    @property
    def nodes(self) -> NodeControl:
        return NodeControl(self.plane, self.call)

    @property
    def pods(self) -> PodControl:
        return PodControl(self.plane, self.call)

    @property
    def objects(self) -> Objects:
        return Objects(self.plane.client, self.call)

    def settle(self) -> None:
        """Return once no component has anything left to do at this time."""
        self.call(self.plane.loop.settle())

    def story(self) -> str:
        """What is not well, the events and the last writes, as text."""
        return self.call(self._story())

    async def _story(self) -> str:
        return tell(self.plane.story, self._objects_of, self.plane.clock.now())

    def wait_for(
        self,
        what: str | Callable[[], Any],
        condition: Condition = "exists",
        *,
        namespace: str = "default",
        within: Span = "60s",
    ) -> Any:
        """Wait until it is so; returns what was true. See `waiting` for what can be waited for.

        Where time is frozen, it is advanced meanwhile, and `within` is of the cluster's time; if
        there are clients outside, a second of it takes at least 50 ms, which are theirs.
        Raises WaitFailed with the story.
        """
        check = what if callable(what) else self._check_of(what, condition, namespace)
        seconds = seconds_of(within)
        found = self._wait(check, seconds)
        if not found:
            raise WaitFailed(
                f"waited {seconds:g} s for {described(what, condition)}; instead:\n{self.story()}"
            )
        return found

    def _wait(self, check: Callable[[], Any], seconds: float) -> Any:
        plane, story = self.plane, self.plane.story
        is_frozen = plane.loop.frozen_at is not None
        begun = plane.loop.time() if is_frozen else time.monotonic()
        looking_since = time.monotonic()
        while True:
            if is_frozen:
                self.settle()
            count = story.count
            found = check()
            passed = (plane.loop.time() if is_frozen else time.monotonic()) - begun
            if found or passed >= seconds - ROUNDING_SECONDS:
                return found
            if self._has_outsiders or not is_frozen:
                # Others work in real time: they get some before more of the cluster's passes.
                with story.changed:
                    stirs = story.count != count or story.changed.wait(LOOK_SECONDS)
                if stirs and time.monotonic() - looking_since < RESTLESS_SECONDS_MAX:
                    continue
            if is_frozen:
                self.clock.advance(min(STEP_SECONDS, seconds - passed))
                looking_since = time.monotonic()

    def _check_of(self, what: str, condition: Condition, namespace: str) -> Callable[[], Any]:
        kind, separator, name = what.partition("/")
        if not separator:
            raise ValueError(f'"{what}" names no object: write KIND/NAME')
        find = self.objects.find
        return lambda: holds(find(kind, name, namespace=namespace), condition)

    def _objects_of(self, plural: str) -> list[Obj]:
        """As the server's caches have them; in the loop's thread."""
        server = self.plane.server
        if server is None:
            return []
        for (_, _, served), endpoint in server.endpoints.items():
            if served == plural:
                return [endpoint.decode(c) for c in endpoint.cache.objects.values()]
        return []

    def call(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine in the cluster's event loop; returns its result."""
        if self._loop is None:
            work.close()
            raise ClusterError("the cluster does not run: start it, or use it in a with block")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_SECONDS_MAX)


def prepare(options: Options) -> None:
    """Let a cluster of this shape come to rest once; the others begin where it ended."""
    loop = VirtualLoop()

    async def once() -> None:
        rehearsal = replace(options, seed=0, frozen=True, is_rehearsal=True)
        plane = ControlPlane(session_keys(), rehearsal, loop)
        try:
            await plane.start()
            plane.keep()
        finally:
            await plane.stop()

    try:
        loop.run_until_complete(once())
    finally:
        loop.close()
