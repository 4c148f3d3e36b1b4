"""The controller manager: which controllers run, and how they come up.

Upstream: cmd/kube-controller-manager/app/controllermanager.go.
"""

import logging
from collections.abc import Callable

from tiphys.client.controller import Context, Controller, Informers
from tiphys.client.leader_election import Election, lead
from tiphys.client.recorder import EventRecorder
from tiphys.client.rest import Client
from tiphys.controllers.config import ControllersConfig
from tiphys.controllers.deployment import DeploymentController
from tiphys.controllers.endpoint_slice import EndpointSliceController
from tiphys.controllers.endpoints import EndpointsController
from tiphys.controllers.garbage_collector import GarbageCollector
from tiphys.controllers.namespace import NamespaceController
from tiphys.controllers.node_ipam import NodeIpamController
from tiphys.controllers.node_lifecycle import NodeLifecycleController
from tiphys.controllers.pod_garbage_collector import PodGarbageCollector
from tiphys.controllers.replica_set import ReplicaSetController
from tiphys.controllers.root_ca_certificate_publisher import RootCertificatePublisher
from tiphys.controllers.service_account import ServiceAccountController
from tiphys.controllers.taint_eviction import TaintEvictionController
from tiphys.lib.clock import Clock, SystemClock
from tiphys.lib.tasks import TaskSet, keep_running

log = logging.getLogger(__name__)

Make = Callable[[Context, ControllersConfig], Controller | None]

CONTROLLERS: tuple[Make, ...] = (
    lambda context, config: ServiceAccountController(context),
    lambda context, config: RootCertificatePublisher(context, config.root_ca_file.read_text()),
    lambda context, config: (
        NodeIpamController(context, config.cluster_cidr, config.node_cidr_mask_size)
        if config.cluster_cidr
        else None
    ),
    lambda context, config: NodeLifecycleController(context, config.node_monitor_grace_seconds),
    lambda context, config: TaintEvictionController(context),
    lambda context, config: DeploymentController(context),
    lambda context, config: ReplicaSetController(context),
    lambda context, config: EndpointsController(context),
    lambda context, config: EndpointSliceController(context),
    lambda context, config: NamespaceController(context),
    lambda context, config: PodGarbageCollector(context),
    lambda context, config: GarbageCollector(context),
)


async def run(config: ControllersConfig) -> None:
    """Wait for the lease, then run every controller until cancelled."""
    client = Client.from_kubeconfig(config.kubeconfig, user_agent="kube-controller-manager")
    clock = SystemClock()
    election = Election(client, "kube-system", "kube-controller-manager", config.identity, clock)
    try:
        await lead(election, lambda: run_controllers(client, config, clock))
    finally:
        client.close()


async def run_controllers(client: Client, config: ControllersConfig, clock: Clock) -> None:
    """All controllers over one set of informers; each begins when the caches are full."""
    tasks = TaskSet()
    recorders: dict[str, EventRecorder] = {}

    def recorder(component: str) -> EventRecorder:
        if component not in recorders:
            made = EventRecorder(client, component, clock)
            recorders[component] = made
            tasks.start(keep_running(f"{component} events", made.run), f"{component} events")
        return recorders[component]

    informers = Informers(client)
    context = Context(client, informers, recorder, clock, tasks)
    try:
        controllers = [c for make in CONTROLLERS if (c := make(context, config)) is not None]
        for informer in informers.all():
            name = f"informer {informer.gvr.resource}"
            tasks.start(keep_running(name, informer.run), name)
        for informer in informers.all():
            await informer.synced()
        log.info("controllers started", extra={"count": len(controllers)})
        running = [
            tasks.start(keep_running(controller.name, controller.run), controller.name)
            for controller in controllers
        ]
        for task in running:
            await task
    finally:
        await tasks.close()
