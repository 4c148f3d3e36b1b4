"""The parts of a cluster in one event loop: API server, controllers, scheduler, simulated nodes.

They are the real ones. The server listens over TLS for clients outside; the components reach it
within the process. Nobody campaigns for leadership: there is one of each.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from tiphys.apiserver.config import ApiServerConfig
from tiphys.apiserver.documents import GIT_VERSION
from tiphys.apiserver.filters.authorization import Learnt
from tiphys.apiserver.run import build, error_answer
from tiphys.apiserver.server import ApiServer
from tiphys.client.component import run_controllers
from tiphys.client.controller import Controller
from tiphys.client.informer import Informer
from tiphys.client.kubeconfig import Access
from tiphys.client.rest import Client
from tiphys.controllers.config import ControllersConfig
from tiphys.controllers.run import controllers_of
from tiphys.lib.http.server import HttpServer
from tiphys.lib.tasks import TaskSet, keep_running
from tiphys.scheduler.config import SchedulerConfig
from tiphys.scheduler.metrics import SchedulerMetrics
from tiphys.scheduler.run import Scheduler
from tiphys.storage.backend import Event
from tiphys.storage.memory import MemoryBackend
from tiphys.storage.store import ROOT
from tiphys.testing.certificates import Keys
from tiphys.testing.clock import VirtualClock, VirtualLoop
from tiphys.testing.faults import Faults
from tiphys.testing.in_process import HOST, Door
from tiphys.testing.kubelet_server import KubeletServer
from tiphys.testing.node import PODS, Heartbeat, Kubelets, Node
from tiphys.testing.snapshot import SNAPSHOTS, Shape, session_roles
from tiphys.testing.story import Story

EXPIRE_SECONDS: Final = 30.0  # How late an object goes whose time is over.
COMPACT_SECONDS: Final = 300.0  # --etcd-compaction-interval
ADDRESS: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Options:
    """What a cluster is to be."""

    nodes: int = 1
    seed: int = 0
    start: datetime | None = None  # What time it is at first; None: the machine's.
    frozen: bool = False  # Whether time stands until it is advanced.
    controllers: bool = True
    scheduler: bool = True
    is_rehearsal: bool = False  # Only to prepare a state: its nodes are nowhere.

    @property
    def is_whole(self) -> bool:
        """Whether it has all components, so that it may begin with a prepared state."""
        return self.controllers and self.scheduler

    @property
    def shape(self) -> Shape:
        return self.nodes, self.start


@dataclass(slots=True)
class ControlPlane:
    """Start, then ask `server`, `client`; everything in the loop's thread."""

    keys: Keys
    options: Options
    loop: VirtualLoop
    clock: VirtualClock = field(init=False)
    faults: Faults = field(init=False)
    door: Door = field(init=False)
    client: Client = field(init=False)
    backend: MemoryBackend = field(init=False)
    kubelets: Kubelets = field(init=False)
    logs: KubeletServer = field(init=False)
    story: Story = field(init=False)
    server: ApiServer | None = None
    port: int = 0
    nodes: dict[str, Node] = field(default_factory=dict)
    _http: HttpServer | None = None
    _kubelet_http: HttpServer | None = None
    _kubelet_port: int = 0
    _running: list[Controller] = field(default_factory=list)
    _tasks: TaskSet = field(default_factory=TaskSet)
    _serving: TaskSet = field(default_factory=TaskSet)
    _node_clients: dict[str, Client] = field(default_factory=dict)
    _node_tasks: TaskSet = field(default_factory=TaskSet)

    async def start(self) -> None:
        """Return when every node is ready and every controller works.

        Where time is frozen, all of them rest by then; where it flows, the garbage collector still
        reads what there is, which takes as long again as everything else.
        """
        options = self.options
        self.clock = VirtualClock(self.loop, options.start)
        self.faults = Faults(random.Random(options.seed))
        self.faults.stir = self.loop.stir
        self.loop.has_outsiders = lambda: self.faults.has_watchers
        self.door = Door(self.faults.inside)
        self.client = self._client(self.keys.admin_der, "tiphys-testing")
        self.story = Story(self.clock)
        prepared = SNAPSHOTS.take(options.shape, self.clock) if options.is_whole else None
        self.backend = prepared.store if prepared else MemoryBackend(self.clock)
        await self._listen(prepared.learnt if prepared else None)
        if options.controllers:
            self._start("controllers", self._run_controllers)
        if options.scheduler:
            self._start("scheduler", self._run_scheduler)
        await self._start_nodes(are_known=prepared is not None)
        self._start("upkeep", self._upkeep)
        if prepared is None or options.frozen:
            await self.loop.settle()
        while options.controllers and not self._running:  # noqa: ASYNC110
            await asyncio.sleep(0)  # Everybody else runs; there is nothing else to wait for.
        present = await self.backend.range(ROOT)
        self.story.begin(item.key for item in present.items)
        if not options.frozen:
            self.loop.flow()

    def keep(self) -> None:
        """Let clusters of this shape begin with what is written now."""
        assert self.server is not None
        learnt = self.server.authorizer.learnt()
        SNAPSHOTS.keep(self.options.shape, self.backend, learnt, self.clock)

    async def stop(self) -> None:
        await self._node_tasks.close()
        await self._tasks.close()
        await self._go_down()
        if self._kubelet_http is not None:
            await self._kubelet_http.stop()

    async def restart(self, down_seconds: float) -> None:
        """The API server ends as by a kill and comes back with what its store holds."""
        await self._go_down()
        await self.clock.sleep(down_seconds)
        await self._listen()

    def add_node(self, node: Node, *, is_known: bool = False) -> None:
        """A further machine; it registers by itself, unless the store knows it already."""
        self.nodes[node.name] = node
        client = self._node_client(node.name)
        port = self._kubelet_port
        beat = Heartbeat(node, client, self.clock, GIT_VERSION, port, is_known=is_known)
        name = f"node {node.name}"
        self._node_tasks.start(keep_running(name, beat.run, self.clock.monotonic), name)

    async def _listen(self, learnt: Learnt | None = None) -> None:
        http = HttpServer(self.faults.outside, tls=self.keys.context, error_response=error_answer)
        self.port = await http.listen(ADDRESS, self.port)
        self._http = http
        rng = random.Random(self.options.seed + self.backend.revision)
        server = await build(self._config(), self.backend, self.clock, rng, session_roles())
        if learnt is not None:
            server.authorizer.believe(learnt)
        server.store.on_events(self._noticed)
        self.server = server
        self.faults.inner = server.handle
        self.door.open()
        custom = server.custom_resources.run
        self._serving.start(keep_running("CustomResourceDefinitions", custom), "definitions")
        check = server.availability.run
        self._serving.start(keep_running("APIServices", check), "APIServices")
        if server.upkeep is not None:
            upkeep = keep_running("priority and fairness", server.upkeep.run)
            self._serving.start(upkeep, "priority and fairness")

    async def _go_down(self) -> None:
        self.faults.inner = None
        await self._serving.close()
        await self.door.close()
        if self._http is not None:
            await self._http.stop()
        if self.server is not None:
            self.server.is_ready = False
            self.server.fairness.close()
            await self.server.store.close()

    def _config(self) -> ApiServerConfig:
        keys = self.keys
        return ApiServerConfig(
            addresses=[(ADDRESS, self.port)],
            store_path=Path("/nonexistent"),  # The store is in memory.
            tls_cert=keys.server[0],
            tls_key=keys.server[1],
            client_ca=keys.ca,
            service_account_key=keys.signing_key,
            # Not the port: what is written must not depend on which one was free.
            service_cidr="10.96.0.0/16",
        )

    def _client(self, certificate: bytes, user_agent: str) -> Client:
        access = Access(f"http://{HOST}")
        return Client(access, user_agent=user_agent, transport=self.door.transport(certificate))

    def _node_client(self, name: str) -> Client:
        """Acts as the node's kubelet, with a kubelet's rights only."""
        if name not in self._node_clients:
            client = self._client(self.keys.admin_der, "simulated-kubelet")
            client.http.headers["Impersonate-User"] = f"system:node:{name}"
            client.http.headers["Impersonate-Group"] = "system:nodes"
            self._node_clients[name] = client
        return self._node_clients[name]

    def _start(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        self._tasks.start(keep_running(name, work, self.clock.monotonic), name)

    async def _run_controllers(self) -> None:
        config = ControllersConfig(
            Path("/nonexistent"),  # The client is made here.
            root_ca_file=self.keys.ca,
            service_account_key=self.keys.signing_key,
        )
        client = self._client(self.keys.controllers_der, "kube-controller-manager")
        await run_controllers(
            client, self.clock, lambda c: controllers_of(c, config), self._running
        )

    async def _run_scheduler(self) -> None:
        client = self._client(self.keys.scheduler_der, "kube-scheduler")
        rng = random.Random(self.options.seed)
        config = SchedulerConfig(Path("/nonexistent"))
        await Scheduler(client, config, self.clock, rng, SchedulerMetrics()).run()

    async def _start_nodes(self, *, are_known: bool) -> None:
        pods = Informer(self.client, PODS)
        self.logs = KubeletServer(pods.get)
        if not self.options.is_rehearsal:
            self._kubelet_http = HttpServer(self.logs.handle, tls=self.keys.context)
            self._kubelet_port = await self._kubelet_http.listen(ADDRESS, 0)
        self.kubelets = Kubelets(self.nodes, pods, self._node_client, self.clock)
        self._start("pods of simulated nodes", pods.run)
        self._start("kubelets", self.kubelets.run)
        for number in range(1, self.options.nodes + 1):
            self.add_node(Node(f"node-{number}"), is_known=are_known)

    def _noticed(self, events: Sequence[Event]) -> None:
        if self.story.note(events):
            self.loop.stir()

    async def _upkeep(self) -> None:
        compacted = self.clock.monotonic()
        revision = self.backend.revision
        while True:
            await self.clock.sleep(EXPIRE_SECONDS)
            await self.backend.expire()
            if self.clock.monotonic() - compacted >= COMPACT_SECONDS:
                await self.backend.compact(revision)
                revision, compacted = self.backend.revision, self.clock.monotonic()
