"""A process full of controllers: one client, shared informers, recorders, leader election."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from tiphys.client.controller import Context, Controller, HasQueue, Informers
from tiphys.client.controller_metrics import lease_family, queue_families
from tiphys.client.leader_election import Election, lead
from tiphys.client.metrics_page import MetricsConfig, serve_metrics
from tiphys.client.recorder import EventRecorder
from tiphys.client.rest import Client
from tiphys.client.service_account_client import ServiceAccountClient
from tiphys.lib.clock import Clock, SystemClock
from tiphys.lib.prometheus_text import Family
from tiphys.lib.tasks import TaskSet, keep_running

log = logging.getLogger(__name__)

Make = Callable[[Context], Sequence[Controller]]


async def run_elected(
    kubeconfig: Path,
    name: str,
    identity: str,
    make: Make,
    metrics: MetricsConfig | None = None,
) -> None:
    """Wait for the Lease kube-system/<name>, then run the controllers until cancelled."""
    client = Client.from_kubeconfig(kubeconfig, user_agent=name, multiplexed=True)
    clock = SystemClock()
    election = Election(client, "kube-system", name, identity, clock)
    tasks = TaskSet()
    running: list[Controller] = []

    def families() -> list[Family]:
        queues = {c.name: c.queue for c in running if isinstance(c, HasQueue)}
        lease = lease_family(name, is_leader=bool(running))
        return [*queue_families(queues), lease, client.requests.family()]

    try:
        tasks.start(serve_metrics(metrics, families, client, clock), "metrics")
        await lead(election, lambda: run_controllers(client, clock, make, running))
    finally:
        await tasks.close()
        client.close()


async def run_controllers(
    client: Client, clock: Clock, make: Make, running: list[Controller]
) -> None:
    """All controllers over one set of informers; each begins when the caches are full.

    `running` holds them while they work.
    """
    tasks = TaskSet()
    recorders: dict[str, EventRecorder] = {}

    def recorder(component: str) -> EventRecorder:
        if component not in recorders:
            made = EventRecorder(client, component, clock)
            recorders[component] = made
            tasks.start(keep_running(f"{component} events", made.run), f"{component} events")
        return recorders[component]

    clients: dict[str, Client] = {}

    def client_for(account: str) -> Client:
        if account not in clients:
            clients[account] = ServiceAccountClient(client, account, clock)
        return clients[account]

    informers = Informers(client)
    try:
        controllers = make(Context(client, client_for, informers, recorder, clock, tasks))
        for informer in informers.all():
            name = f"informer {informer.gvr.resource}"
            tasks.start(keep_running(name, informer.run), name)
        for informer in informers.all():
            await informer.synced()
        log.info("controllers started", extra={"count": len(controllers)})
        running += controllers
        started = [
            tasks.start(keep_running(controller.name, controller.run), controller.name)
            for controller in controllers
        ]
        for task in started:
            await task
        await asyncio.Event().wait()  # Nothing to do (yet) is no reason to end.
    finally:
        running.clear()
        await tasks.close()
        for one in clients.values():
            one.close()
