"""Puts a kubelet together and runs it."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from tiphys.client.informer import Informer
from tiphys.client.recorder import EventRecorder
from tiphys.client.rest import Client
from tiphys.cri.client import CriClient
from tiphys.cri.errors import CriError
from tiphys.kubelet.certificate_request import CLIENT_SIGNER, SERVING_SIGNER, Wanted
from tiphys.kubelet.certificate_rotation import CertificateRotation
from tiphys.kubelet.certificate_store import CLIENT, SERVER
from tiphys.kubelet.config import KubeletConfig
from tiphys.kubelet.deps import Deps
from tiphys.kubelet.dns import ClusterDNS, Resolver, parse_resolv_conf
from tiphys.kubelet.images import Images
from tiphys.kubelet.log_rotation import LogRotation
from tiphys.kubelet.machine import bounded, read_machine
from tiphys.kubelet.node import COMPONENT, NodeReporter
from tiphys.kubelet.pod_cgroup import PodCgroups
from tiphys.kubelet.pod_events import PodEvents
from tiphys.kubelet.pod_sources import PodSources
from tiphys.kubelet.pods import Pods
from tiphys.kubelet.probes.prober import Prober
from tiphys.kubelet.resources import NODES, PODS, SERVICES
from tiphys.kubelet.restart import CrashBackOff
from tiphys.kubelet.runtime_cache import RuntimeCache
from tiphys.kubelet.server.server import KubeletServer
from tiphys.kubelet.status_writer import StatusWriter
from tiphys.kubelet.usage.cgroup_usage import CgroupReader
from tiphys.kubelet.usage.pod_usage import PodUsageReader
from tiphys.lib.clock import Clock, SystemClock
from tiphys.lib.tasks import TaskSet, keep_running

log = logging.getLogger(__name__)

CGROUP_MOUNT: Final = Path("/sys/fs/cgroup")
RUNTIME_RETRY_SECONDS: Final = 0.05


class _Hub:
    """Lets parts that are made before the pods tell them what changed."""

    def __init__(self) -> None:
        self.pods: Pods | None = None

    def wake(self, uid: str) -> None:
        if self.pods is not None:
            self.pods.wake(uid)


class Kubelet:
    """All parts of one kubelet, wired together; `run` starts them."""

    def __init__(self, config: KubeletConfig, clock: Clock) -> None:
        self.config = config
        self.clock = clock
        self.client = Client.from_kubeconfig(
            config.kubeconfig, user_agent=COMPONENT, multiplexed=True
        )
        self.cri = CriClient(config.runtime_socket)
        self.recorder = EventRecorder(self.client, COMPONENT, clock, host=config.node_name)
        self.machine = bounded(read_machine(config.root_dir), config.cpus, config.memory_bytes)
        self.reporter = NodeReporter(
            config, self.client, self.cri, self.recorder, clock, self.machine
        )
        self._tasks = TaskSet()

    async def run(self) -> None:
        """Until cancelled. Containers run on."""
        runtime_name = await self._runtime_name()
        hub = _Hub()
        events = PodEvents(self.recorder)
        pods_informer = Informer(
            self.client, PODS, field_selector=f"spec.nodeName={self.config.node_name}"
        )
        services = Informer(self.client, SERVICES)
        node = Informer(self.client, NODES, field_selector=f"metadata.name={self.config.node_name}")
        node.on_change(lambda old, new: self.reporter.observe(new) if new is not None else None)
        statuses = StatusWriter(self.client, lambda uid: pods.get(uid))
        deps = Deps(
            config=self.config,
            clock=self.clock,
            client=self.client,
            cri=self.cri,
            cache=RuntimeCache(self.cri, hub.wake),
            sources=PodSources(self.client, self.clock, hub.wake),
            images=Images(self.cri, events, self.clock),
            prober=Prober(self.cri, events, self.clock, hub.wake),
            events=events,
            statuses=statuses,
            back_off=CrashBackOff(),
            dns=ClusterDNS(
                self.config.cluster_dns, self.config.cluster_domain, self._host_resolver()
            ),
            runtime_name=runtime_name,
            host_ips=(self.config.node_ip,),
            services=services.items,
            node=lambda: self.reporter.node,
            allocatable=self.reporter.allocatable,
            machine=self.machine,
        )
        groups = PodCgroups(CGROUP_MOUNT, self.config.cgroup_root)
        groups.bound(self.config.cpus, self.config.memory_bytes)
        pods = hub.pods = Pods(deps, groups, pods_informer)
        usage = PodUsageReader(CgroupReader(CGROUP_MOUNT), self.config.cgroup_root, deps.cache.get)
        server = KubeletServer(deps, pods, usage)
        await server.start()
        loops = {
            "node status": self.reporter.run,
            "node lease": self.reporter.run_lease,
            "events": self.recorder.run,
            "node watch": node.run,
            "pod watch": pods_informer.run,
            "service watch": services.run,
            "runtime events": deps.cache.run_events,
            "runtime list": deps.cache.run_relist,
            "log rotation": LogRotation(self.cri, deps.cache, self.clock).run,
            **self._certificate_loops(server),
        }
        for name, work in loops.items():
            self._tasks.start(keep_running(name, work), name)
        try:
            # Variables of services must be there when the first container is made.
            await services.synced()
            await self.reporter.registered.wait()
            await pods.run()
        finally:
            await self._close(deps, pods, server)

    def _certificate_loops(self, server: KubeletServer) -> dict[str, Callable[[], Awaitable[None]]]:
        """What keeps the kubelet's own certificates valid, where it has them by itself."""
        directory, node = self.config.certificate_directory, self.config.node_name
        if directory is None:
            return {}
        rng = random.SystemRandom()
        names = (node, self.config.node_ip)
        client = CertificateRotation(
            self.client, Wanted(CLIENT_SIGNER, node), (directory, CLIENT), self.clock, rng
        )
        serving = CertificateRotation(
            self.client,
            Wanted(SERVING_SIGNER, node, names),
            (directory, SERVER),
            self.clock,
            rng,
            server.use_certificate,
        )

        async def serve() -> None:
            # The addresses that it names are looked up in the Node.
            await self.reporter.registered.wait()
            await serving.run()

        return {"client certificate": client.run, "serving certificate": serve}

    async def _close(self, deps: Deps, pods: Pods, server: KubeletServer) -> None:
        await server.stop()
        await self._tasks.close()
        await pods.close()
        await deps.prober.close()
        await deps.sources.close()
        await deps.statuses.close()
        self.cri.close()
        self.client.close()

    async def _runtime_name(self) -> str:
        """Waits for the runtime: nothing can be done without it."""
        told = False
        while True:
            try:
                version = await self.cri.call("Version", {"version": "v1"}, 5.0)
                return str(version.get("runtime_name", ""))
            except CriError as exc:
                if not told:
                    log.info("waiting for the runtime", extra={"why": exc.message})
                    told = True
                await asyncio.sleep(RUNTIME_RETRY_SECONDS)

    def _host_resolver(self) -> Resolver:
        try:
            return parse_resolv_conf(self.config.resolv_conf.read_text())
        except OSError:
            return Resolver()


async def run(config: KubeletConfig) -> None:
    """The whole kubelet, until cancelled."""
    await Kubelet(config, SystemClock()).run()
