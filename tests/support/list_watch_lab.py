"""One API server that random operations are done on, and the history that must come of them."""

import asyncio
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from support.api_server import ADMIN, Api, RunningApiServer, memory_backend, start
from support.etcd import EtcdCluster
from support.follower import Follower, Life, Seen
from support.furnished import define_widgets
from tiphys.lib import tls
from tiphys.lib.clock import SystemClock
from tiphys.lib.http.client import HttpClient
from tiphys.storage.etcd.backend import EtcdBackend
from tiphys.storage.memory import MemoryBackend
from tiphys.storage.sqlite import SqliteBackend

_ROOT: Final = Path(__file__).resolve().parents[2]
SECONDS_MAX: Final = 20.0  # Until a follower has seen what there is to see.


class Kind(NamedTuple):
    """A kind with a field that can be selected by; `body` puts a value of it into an object."""

    base: str
    plural: str
    field: str
    body: Callable[[str, str], dict[str, Any]]


KINDS: Final = {
    "configmaps": Kind(
        "/api/v1", "configmaps", "metadata.namespace", lambda _, value: {"data": {"field": value}}
    ),
    "events": Kind(
        "/api/v1",
        "events",
        "reason",
        lambda namespace, value: {
            "involvedObject": {"kind": "Pod", "name": "p", "namespace": namespace},
            "reason": value,
        },
    ),
    "widgets": Kind(
        "/apis/example.com/v1",
        "widgets",
        "spec.color",
        lambda _, value: {
            "apiVersion": "example.com/v1",
            "kind": "Widget",
            "spec": {"color": value},
        },
    ),
}


class Selector(NamedTuple):
    """A selection as a query, and what it means for (label, field, name)."""

    query: str
    matches: Callable[[str, str, str], bool]


LABELS: Final = (
    Selector("", lambda label, _f, _n: True),
    Selector("l=a", lambda label, _f, _n: label == "a"),
    Selector("l!=a", lambda label, _f, _n: label != "a"),
    Selector("l in (a,b)", lambda label, _f, _n: label in {"a", "b"}),
    Selector("l notin (a)", lambda label, _f, _n: label != "a"),
    Selector("l", lambda label, _f, _n: label != ""),
    Selector("!l", lambda label, _f, _n: label == ""),
)
FIELDS: Final = (
    Selector("", lambda _l, value, name: True),
    Selector("metadata.name=o1", lambda _l, value, name: name == "o1"),
    Selector("metadata.name!=o1", lambda _l, value, name: name != "o1"),
    Selector("FIELD=red", lambda _l, value, name: value == "red"),
    Selector(
        "FIELD!=red,metadata.name!=o2", lambda _l, value, name: value != "red" and name != "o2"
    ),
)


class Version(NamedTuple):
    """What one object was; `revision` is of the write."""

    label: str
    value: str
    revision: int


@dataclass
class Change:
    """A write that changed something; after is None where it deleted."""

    name: str
    after: tuple[str, str] | None  # Label and field.


@dataclass
class Lab:
    """`backend` is memory, sqlite or etcd. Everything happens in the loop of the caller."""

    directory: Path
    backend_kind: str
    etcd: EtcdCluster | None = None  # Where the backend is that.
    running: RunningApiServer | None = None
    api: Api | None = None
    _backend: Any = None
    _listening: Any = None

    async def start(self) -> None:
        if self._backend is None or self.backend_kind != "memory":
            self._backend = await self._open()
        port = self.running.port if self.running is not None else 0
        self.running, self._listening = await start(self.directory, self._backend, port)
        self.api = self.running.client()

    async def _open(self) -> MemoryBackend | SqliteBackend | EtcdBackend:
        if self.backend_kind == "memory":
            return memory_backend()
        if self.etcd is not None:
            return await EtcdBackend.open(self.etcd.endpoints, self.etcd.tls(), SystemClock())
        return await SqliteBackend.open(self.directory / "store.db", SystemClock())

    async def stop(self) -> None:
        await self._listening.__aexit__()
        assert self.running is not None
        # The next server shares a store in memory with this one, which must not follow it further.
        await self.running.server.store.close()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def compact(self, revision: int) -> None:
        await self._backend.compact(revision)

    async def forget(self) -> None:
        """Compact all that is past."""
        assert self.running is not None
        await self._backend.compact(self.running.server.store.revision)

    def client(self) -> Api:
        assert self.api is not None
        return self.api

    async def define(self) -> None:
        await define_widgets(self.client())


class KilledLab(Lab):
    """Its server is a process of its own, and starting it again is kill -9 first."""

    _process: asyncio.subprocess.Process | None = None
    _port: int = 0

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "support.api_server_process"),
            *(str(self.directory), str(self._port)),
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": f"{_ROOT / 'src'}:{_ROOT / 'tests'}"},
        )
        assert self._process.stdout is not None
        self._port = int(await self._process.stdout.readline())
        admin = self.directory / ADMIN
        files = (admin.with_suffix(".crt"), admin.with_suffix(".key"))
        context = tls.client_context(self.directory / "ca.crt", *files)
        self.api = Api(HttpClient(f"https://127.0.0.1:{self._port}", tls=context))

    async def stop(self) -> None:
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def compact(self, revision: int) -> None:
        """Only the process itself could."""

    async def forget(self) -> None:
        """The same."""

    async def define(self) -> None:
        await define_widgets(self.client())


@dataclass
class World:
    """The objects of one kind in one namespace: what was written, and who follows it."""

    lab: Lab
    kind: Kind
    namespace: str
    objects: dict[str, tuple[str, str]] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    followers: list[tuple[Follower, Selector, Selector]] = field(default_factory=list)
    canonical: Follower | None = None  # It selects nothing and reads at once.
    past: list[Seen] = field(default_factory=list)  # What its forerunners saw.

    @property
    def path(self) -> str:
        return f"{self.kind.base}/namespaces/{self.namespace}/{self.kind.plural}"

    async def begin(self) -> None:
        made = {"metadata": {"name": self.namespace}}
        status, answer = await self.lab.client()("POST", "/api/v1/namespaces", made)
        assert status == 201, answer
        await self._follow_all()

    async def _follow_all(self) -> None:
        self.canonical = Follower(self.lab.client, self.path, "")
        await self.canonical.start()

    async def restart(self) -> None:
        """A new server remembers no events: who knows all of the past begins anew behind it."""
        self.past = await self.caught_up()
        assert self.canonical is not None
        await self.canonical.stop()
        await self.lab.restart()
        await self._follow_all()

    async def end(self) -> None:
        for follower, *_ in self.followers:
            await follower.stop()
        assert self.canonical is not None
        await self.canonical.stop()
        await self.lab.client()("DELETE", self.path)  # 10^5 operations would fill the memory.
        await self.lab.forget()

    # --- operations

    async def put(self, name: str, label: str, value: str, size: int) -> None:
        """Create or replace; the same again changes nothing."""
        metadata: dict[str, Any] = {"name": name, "annotations": {"size": "x" * size}}
        if label:
            metadata["labels"] = {"l": label}
        body = self.kind.body(self.namespace, value) | {"metadata": metadata}
        method, target = "POST", self.path
        if name in self.objects:
            _, old = await self.lab.client()("GET", f"{self.path}/{name}")
            metadata["resourceVersion"] = old["metadata"]["resourceVersion"]
            method, target = "PUT", f"{self.path}/{name}"
        status, answer = await self.lab.client()(method, target, body)
        assert status in {200, 201}, answer
        if method == "POST" or answer["metadata"]["resourceVersion"] != metadata["resourceVersion"]:
            self.changes.append(Change(name, (label, value)))
        self.objects[name] = label, value

    async def delete(self, name: str) -> None:
        status, _ = await self.lab.client()("DELETE", f"{self.path}/{name}")
        assert status == (200 if name in self.objects else 404)
        if self.objects.pop(name, None):
            self.changes.append(Change(name, None))

    async def delete_selected(self, label: Selector) -> None:
        query = f"?labelSelector={quoted(label.query)}" if label.query else ""
        assert (await self.lab.client()("DELETE", f"{self.path}{query}"))[0] == 200
        for name in sorted(n for n, (la, va) in self.objects.items() if label.matches(la, va, n)):
            self.changes.append(Change(name, None))
            del self.objects[name]

    async def follow(self, label: Selector, chosen: Selector, way: str) -> None:
        follower = Follower(self.lab.client, self.path, self.query(label, chosen), way)
        await follower.start()
        self.followers.append((follower, label, chosen))

    async def paged(self, label: Selector, chosen: Selector, between: list[str]) -> None:
        """A list whose pages have writes between them shows what was at its first page."""
        await self.caught_up()
        before = dict(self.objects)
        found: list[str] = []
        token = ""
        while True:
            more = f"&continue={token}" if token else ""
            query = f"?limit=2{self.query(label, chosen)}{more}"
            status, page = await self.lab.client()("GET", self.path + query)
            assert status == 200, page
            found += [item["metadata"]["name"] for item in page["items"]]
            token = page["metadata"].get("continue", "")
            if not token:
                break
            for name in between:
                await self.delete(name) if name in self.objects else await self.put(
                    name, "a", "red", 1
                )
            between = []
        wanted = sorted(
            n
            for n, (la, va) in before.items()
            if label.matches(la, va, n) and self._is(chosen, va, n)
        )
        assert found == wanted

    async def listed_at(self, back: int, label: Selector, chosen: Selector) -> None:
        """Exactly as of an older revision, or 410 once that is forgotten."""
        history = await self.caught_up()
        if not history:
            return
        revision = history[-1 - back % len(history)].revision
        query = f"?resourceVersion={revision}&resourceVersionMatch=Exact"
        status, answer = await self.lab.client()(
            "GET", self.path + query + self.query(label, chosen)
        )
        if status == 410:
            return
        assert status == 200, answer
        state = self.state_at(revision, label, chosen)
        assert {i["metadata"]["name"] for i in answer["items"]} == set(state)

    async def compact(self, back: int) -> None:
        """Forget all but the last so many writes."""
        history = await self.caught_up()
        if history:
            await self.lab.compact(history[-1 - back % len(history)].revision)

    # --- what must have been seen

    def query(self, label: Selector, chosen: Selector) -> str:
        """`&labelSelector=...&fieldSelector=...`"""
        parts = [f"&labelSelector={quoted(label.query)}"] if label.query else []
        text = chosen.query.replace("FIELD", self.kind.field)
        return "".join([*parts, *([f"&fieldSelector={quoted(text)}"] if text else [])])

    def _is(self, chosen: Selector, value: str, name: str) -> bool:
        """The field of configmaps is their namespace, which is never red."""
        return chosen.matches("", "" if self.kind.plural == "configmaps" else value, name)

    async def caught_up(self) -> list[Seen]:
        """Everything that happened, as one who selects nothing saw it."""
        follower = self.canonical
        assert follower is not None
        done = await follower.until(lambda: len(self._history()) >= len(self.changes), SECONDS_MAX)
        history = self._history()
        assert done, f"{len(history)} events of {len(self.changes)} writes"
        self._check_history(history)
        return history

    def _history(self) -> list[Seen]:
        assert self.canonical is not None
        assert len(self.canonical.lives) == 1, "who reads everything at once is never too late"
        return self.past + self.canonical.lives[0].events

    def _check_history(self, history: list[Seen]) -> None:
        alive: set[str] = set()
        told = [(s.name, s.type) for s in history]
        wanted = []
        for change in self.changes:
            if change.after is None:
                wanted.append((change.name, "DELETED"))
                alive.discard(change.name)
            else:
                wanted.append((change.name, "MODIFIED" if change.name in alive else "ADDED"))
                alive.add(change.name)
        # A collection is deleted in an order of the server's own.
        assert sorted(told) == sorted(wanted)

    def versions(self) -> list[tuple[Seen, tuple[str, str] | None]]:
        """Each event with what the object was after it."""
        waiting: dict[str, list[Change]] = {}
        for change in self.changes:
            waiting.setdefault(change.name, []).append(change)
        return [(seen, waiting[seen.name].pop(0).after) for seen in self._history()]

    def state_at(self, revision: int, label: Selector, chosen: Selector) -> dict[str, int]:
        """Name -> revision of what a selection holds at a revision."""
        found: dict[str, int] = {}
        for seen, after in self.versions():
            if seen.revision > revision:
                break
            found.pop(seen.name, None)
            if after and label.matches(*after, seen.name) and self._is(chosen, after[1], seen.name):
                found[seen.name] = seen.revision
        return found

    def wanted(self, life: Life, label: Selector, chosen: Selector) -> list[Seen]:
        """The events that a watch of a selection shows from a list's revision on."""
        found: list[Seen] = []
        inside = set(self.state_at(life.revision, label, chosen))
        for seen, after in self.versions():
            if seen.revision <= life.revision:
                continue
            is_in = bool(
                after and label.matches(*after, seen.name) and self._is(chosen, after[1], seen.name)
            )
            was_in = seen.name in inside
            if is_in or was_in:
                kind = "DELETED" if not is_in else "MODIFIED" if was_in else "ADDED"
                found.append(Seen(kind, seen.name, seen.revision))
            (inside.add if is_in else inside.discard)(seen.name)
        return found

    async def check(self) -> None:
        """Every follower has seen exactly what happened, and holds what there is."""
        await self.caught_up()
        for follower, label, chosen in self.followers:
            follower.resume()
            await self._check_follower(follower, label, chosen)

    async def _check_follower(self, follower: Follower, label: Selector, chosen: Selector) -> None:
        def is_done() -> bool:
            life = follower.lives[-1]
            return len(life.events) >= len(self.wanted(life, label, chosen))

        done = await follower.until(is_done, SECONDS_MAX)
        where = f"{follower.way} of {follower.query}"
        for life in follower.lives:
            state = self.state_at(life.revision, label, chosen)
            assert life.listed == state, f"{where}: its list of {life.revision}"
            wanted = self.wanted(life, label, chosen)
            assert life.events == wanted[: len(life.events)], f"{where} from {life.revision}"
        assert done, f"{where}: {follower.lives[-1].events} of {wanted}"
        last = self.versions()[-1][0].revision if self.changes else 0
        now = self.state_at(max(last, follower.lives[-1].revision), label, chosen)
        held = {n: int(o["metadata"]["resourceVersion"]) for n, o in follower.state.items()}
        assert held == now, f"{where}: what it holds"


def quoted(text: str) -> str:
    return text.replace("!", "%21").replace(" ", "%20").replace("=", "%3D").replace(",", "%2C")
