"""The loop of the Ingress controller: what the cluster holds becomes a plan, and is obeyed.

Upstream: ingress-nginx internal/ingress/controller. One process per cluster, so there is no
election of a leader.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from tiphys.api.errors import ApiError, NotFound
from tiphys.api.meta import (
    GroupVersionResource,
    Obj,
    key_of,
    metadata,
    name_of,
    namespace_of,
    uid_of,
)
from tiphys.client.informer import Informer, all_synced
from tiphys.client.recorder import EventRecorder
from tiphys.client.rest import Client
from tiphys.ingress import certificates, status
from tiphys.ingress.certificates import BadCertificate, Loaded
from tiphys.ingress.config import IngressConfig
from tiphys.ingress.data_plane import DataPlane, DataPlaneError
from tiphys.ingress.plan import Snapshot, ours_of, plan
from tiphys.ingress.table import Plan, Problem
from tiphys.lib.clock import Clock
from tiphys.lib.tasks import TaskSet, keep_running

log = logging.getLogger(__name__)

COMPONENT: Final = "nginx-ingress-controller"  # As ingress-nginx signs its events.
NETWORKING: Final = "networking.k8s.io"
INGRESSES: Final = GroupVersionResource(NETWORKING, "v1", "ingresses")
CLASSES: Final = GroupVersionResource(NETWORKING, "v1", "ingressclasses")
SERVICES: Final = GroupVersionResource("", "v1", "services")
SLICES: Final = GroupVersionResource("discovery.k8s.io", "v1", "endpointslices")
SECRETS: Final = GroupVersionResource("", "v1", "secrets")
# Releases of Helm are large and no certificates: as ingress-nginx.
NOT_HELM: Final = "type!=helm.sh/release.v1"
RETRY_SECONDS: Final = 1.0
CERTIFICATES_MAX: Final = 1000  # Remembered parsed; more are parsed again each time.


class IngressController:
    def __init__(
        self, client: Client, config: IngressConfig, plane: DataPlane, clock: Clock
    ) -> None:
        self._client = client
        self._config = config
        self._plane = plane
        self._clock = clock
        self._recorder = EventRecorder(client, COMPONENT, clock)
        self._ingresses = Informer(client, INGRESSES)
        self._classes = Informer(client, CLASSES)
        self._services = Informer(client, SERVICES)
        self._slices = Informer(client, SLICES)
        self._secrets = Informer(client, SECRETS, field_selector=NOT_HELM)
        self._changed = asyncio.Event()
        self._plan: Plan | None = None
        self._load = remembering(certificates.load)
        self._scheduled: dict[str, int] = {}  # Generations by uid that events have told of.
        self._problems: dict[Problem, float] = {}  # Since when.
        self._told: set[Problem] = set()

    async def run(self) -> None:
        """Work until cancelled. Raises DataPlaneError when nobody listens any more."""
        tasks = TaskSet()
        informers = (self._ingresses, self._classes, self._services, self._slices, self._secrets)
        for informer in informers:
            informer.on_change(self._note)
            name = f"informer {informer.gvr.resource}"
            tasks.start(keep_running(name, informer.run), name)
        tasks.start(keep_running("events", self._recorder.run), "events")
        try:
            await all_synced(informers)
            while True:
                await self._sync()
                await self._wait()
                await self._clock.sleep(self._config.settle_seconds)
        finally:
            await tasks.close()

    def _note(self, old: Obj | None, new: Obj | None) -> None:
        self._changed.set()

    async def _wait(self) -> None:
        """For a change, or for the time when a problem has lasted long enough to be told."""
        seconds = self._config.patience_seconds if self._problems.keys() - self._told else None
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _sync(self) -> None:
        self._changed.clear()
        snapshot = Snapshot(
            now=self._clock.now(),
            ingresses=self._ingresses.items(),
            classes=self._classes.items(),
            services={key_of(one): one for one in self._services.items()},
            slices=self._slices.items(),
            secrets={key_of(one): one for one in self._secrets.items()},
        )
        wanted, problems = plan(snapshot, self._load)
        ours = ours_of(snapshot)
        try:
            if wanted != self._plan:
                await self._plane.apply(wanted)
                self._plan = wanted
                log.info("plan obeyed", extra={"hosts": len(wanted.hosts)})
        except DataPlaneError as exc:
            log.error("plan not obeyed, the one before still is", extra={"why": str(exc)})
            await self._again()
            return
        self._tell(ours, problems)
        for ingress in ours:
            await self._publish(ingress)

    def _tell(self, ours: list[Obj], problems: list[Problem]) -> None:
        """Events: what is new, and what has been wrong for a while."""
        now = self._clock.monotonic()
        self._problems = {p: self._problems.get(p, now) for p in problems}
        self._told &= self._problems.keys()
        by_key = {key_of(one): one for one in ours}
        for uid in self._scheduled.keys() - {uid_of(one) for one in ours}:
            del self._scheduled[uid]
        for ingress in ours:
            generation = metadata(ingress).get("generation") or 0
            if self._scheduled.get(uid_of(ingress)) != generation:
                self._scheduled[uid_of(ingress)] = generation
                self._recorder.event(ingress, "Normal", "Sync", "Scheduled for sync")
        for problem, since in self._problems.items():
            if problem not in self._told and now - since >= self._config.patience_seconds:
                self._told.add(problem)
                self._recorder.event(
                    by_key[problem.ingress], "Warning", problem.reason, problem.message
                )

    async def _publish(self, ingress: Obj) -> None:
        """The address by which it is reached."""
        if not status.differs(ingress, self._config.address):
            return
        patch = {"status": {"loadBalancer": {"ingress": status.wanted(self._config.address)}}}
        try:
            await self._client.patch(
                INGRESSES, name_of(ingress), patch, namespace_of(ingress), "status", kind="merge"
            )
        except NotFound:
            return
        except ApiError as exc:
            log.warning(
                "address not published, trying again",
                extra={"ingress": str(key_of(ingress)), "why": exc.message},
            )
            await self._again()

    async def _again(self) -> None:
        await self._clock.sleep(RETRY_SECONDS)
        self._changed.set()


def remembering(load: Callable[[Obj], Loaded]) -> Callable[[Obj], Loaded]:
    """load, but each version of a Secret once: parsing one costs 0.3 ms."""
    known: dict[tuple[str, str], Loaded | BadCertificate] = {}

    def loaded(secret: Obj) -> Loaded:
        version = (uid_of(secret), str(metadata(secret).get("resourceVersion", "")))
        found = known.get(version)
        if found is None:
            try:
                found = load(secret)
            except BadCertificate as exc:
                found = exc
            if len(known) >= CERTIFICATES_MAX:
                known.clear()
            known[version] = found
        if isinstance(found, BadCertificate):
            raise found
        return found

    return loaded
