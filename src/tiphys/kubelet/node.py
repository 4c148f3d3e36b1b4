"""Registers this node, reports its status and renews its lease.

Upstream: pkg/kubelet/kubelet_node_status.go (registerWithAPIServer, syncNodeStatus),
component-helpers nodelease.
"""

import asyncio
import logging
from typing import Any, Final

from tiphys.api.errors import AlreadyExists, ApiError, Conflict, NotFound
from tiphys.api.meta import Obj, at, rfc3339_micro, uid_of
from tiphys.client.recorder import EventRecorder
from tiphys.client.rest import Client
from tiphys.cri.client import CriClient
from tiphys.cri.errors import CriError
from tiphys.kubelet import machine as machine_info
from tiphys.kubelet import node_status
from tiphys.kubelet.config import KubeletConfig
from tiphys.kubelet.grpc_text import error_text
from tiphys.kubelet.machine import Machine
from tiphys.kubelet.node_status import Health
from tiphys.kubelet.resources import LEASES, NODES
from tiphys.lib.backoff import Backoff
from tiphys.lib.clock import Clock

log = logging.getLogger(__name__)

STATUS_SECONDS: Final = 10.0  # defaults.go NodeStatusUpdateFrequency
STATUS_SECONDS_UNREADY: Final = 0.2  # Until Ready, which users wait for.
LEASE_SECONDS: Final = 40  # defaults.go NodeLeaseDurationSeconds
LEASE_RENEW_SECONDS: Final = 10.0  # a quarter of it
LEASE_NAMESPACE: Final = "kube-node-lease"
RETRY_INITIAL_SECONDS: Final = 0.05  # Upstream 0.2 s; ours starts beside its API server.
RETRY_MAX_SECONDS: Final = 7.0  # registerWithAPIServer
COMPONENT: Final = "kubelet"


class NodeReporter:
    """One node. `run` registers and then reports until cancelled."""

    def __init__(
        self,
        config: KubeletConfig,
        client: Client,
        cri: CriClient,
        recorder: EventRecorder,
        clock: Clock,
        machine: Machine,
    ) -> None:
        self._config = config
        self._client = client
        self._cri = cri
        self._recorder = recorder
        self._clock = clock
        self._machine = machine
        self._last_written = float("-inf")
        self._runtime_version = ""
        self._wake = asyncio.Event()
        self.node: Obj = {}
        self._pod_cidr = ""
        self.registered = asyncio.Event()

    def allocatable(self) -> dict[str, str]:
        return node_status.allocatable(self._config, self._machine)

    def wake(self) -> None:
        """Report now: something changed."""
        self._wake.set()

    async def run(self) -> None:
        self._event("Normal", "Starting", "Starting kubelet.")
        await self._register()
        self.registered.set()
        while True:
            self._wake.clear()
            await self._give_pod_cidr()
            try:
                ready = await self._report()
            except ApiError as exc:
                log.info("node status not written", extra={"why": exc.message})
                ready = False
            await self._pause(STATUS_SECONDS if ready else STATUS_SECONDS_UNREADY)

    def observe(self, node: Obj) -> None:
        """The API's object changed: others write its spec, labels and status too."""
        self.node = node
        if at(node, "spec", "podCIDR", default="") != self._pod_cidr:
            self.wake()

    async def _give_pod_cidr(self) -> None:
        """The runtime's network takes addresses from the range that the node was given.

        Upstream: kubelet_network.go updatePodCIDR.
        """
        ranges = at(self.node, "spec", "podCIDRs", default=[])
        ranges = ranges or [at(self.node, "spec", "podCIDR", default="")]
        wanted = ",".join(ranges)
        if wanted in ("", self._pod_cidr):
            return
        request = {"runtime_config": {"network_config": {"pod_cidr": wanted}}}
        try:
            await self._cri.call("UpdateRuntimeConfig", request)
        except CriError as exc:
            log.info("pod range not given to the runtime", extra={"why": exc.message})
            return
        self._pod_cidr = wanted

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    def _event(self, kind: str, reason: str, message: str) -> None:
        # Upstream's node events name the node as uid too, before and after registration.
        about = {"kind": "Node", "name": self._config.node_name, "uid": self._config.node_name}
        self._recorder.event(about, kind, reason, message)

    async def _register(self) -> None:
        """Create the node or take over what is there; until it succeeds."""
        backoff = Backoff(initial_seconds=RETRY_INITIAL_SECONDS, max_seconds=RETRY_MAX_SECONDS)
        wanted = node_status.new_node(self._config, self._machine)
        # With its status, so that the scheduler sees a ready node at once.
        wanted["status"] = (await self._status({}))[0]
        while True:
            try:
                self.node = await self._client.create(NODES, wanted, "")
                self._tell_changes({}, self.node.get("status") or wanted["status"])
                self._last_written = self._clock.monotonic()
                return
            except AlreadyExists:
                try:
                    self.node = await self._adopt()
                    return
                except ApiError as exc:
                    log.info("node not adopted", extra={"why": exc.message})
            except ApiError as exc:
                log.info("node not registered", extra={"why": exc.message})
            await asyncio.sleep(backoff.next_seconds(""))

    async def _adopt(self) -> Obj:
        node = await self._client.get(NODES, self._config.node_name)
        missing = node_status.missing_labels(node, self._config, self._machine)
        if missing:
            patch = {"metadata": {"labels": missing}}
            node = await self._client.patch(NODES, self._config.node_name, patch, kind="merge")
        return node

    async def _report(self) -> bool:
        """Write the status if it is due; says whether the node is ready. Raises ApiError."""
        before: Obj = self.node.get("status") or {}
        status, ready = await self._status(before)
        now = self._clock.monotonic()
        if not node_status.is_due(before, status, self._last_written, now):
            return ready
        # What others wrote into the status since must not be lost: ours is a patch.
        patch = {"metadata": {"uid": uid_of(self.node)}, "status": _status_patch(before, status)}
        name = self._config.node_name
        try:
            self.node = await self._client.patch(NODES, name, patch, subresource="status")
        except (NotFound, Conflict):
            # Deleted, perhaps made again: register anew.
            await self._register()
            return False
        self._last_written = now
        self._tell_changes(before, status)
        return ready

    def _tell_changes(self, before: Obj, after: Obj) -> None:
        first = not at(before, "conditions")
        for reason in node_status.events_of(before, after):
            message = node_status.event_message(self._config.node_name, reason)
            self._event("Normal", reason, message)
        if first:
            self._event(
                "Normal",
                "NodeAllocatableEnforced",
                "Updated Node Allocatable limit across pods",
            )

    async def _status(self, before: Obj) -> tuple[Obj, bool]:
        health = await self._health()
        images: list[dict[str, Any]] = []
        if not health.runtime_error:
            try:
                images = (await self._cri.call("ListImages", {})).get("images", [])
            except CriError as exc:
                log.info("images not listed", extra={"why": exc.message})
        status = node_status.node_status(
            self._config,
            self._machine,
            before,
            health,
            runtime_version=self._runtime_version,
            images=images,
            now=self._clock.now(),
        )
        return status, not health.runtime_error and not health.network_error

    async def _health(self) -> Health:
        runtime_error = network_error = ""
        try:
            if not self._runtime_version:
                version = await self._cri.call("Version", {"version": "v1"})
                self._runtime_version = (
                    f"{version.get('runtime_name', '')}://{version.get('runtime_version', '')}"
                )
            found = (await self._cri.call("Status", {})).get("status", {})
            for condition in found.get("conditions", []):
                if condition.get("status"):
                    continue
                text = (
                    f"reason:{condition.get('reason', '')} message:{condition.get('message', '')}"
                )
                if condition["type"] == "RuntimeReady":
                    runtime_error = f"container runtime not ready: RuntimeReady=false {text}"
                elif condition["type"] == "NetworkReady":
                    network_error = (
                        f"container runtime network not ready: NetworkReady=false {text}"
                    )
        except CriError as exc:
            runtime_error = (
                f"container runtime status check may not have completed yet, {error_text(exc)}"
            )
        disk, inodes = machine_info.available_disk(self._config.root_dir)
        return Health(
            runtime_error=runtime_error,
            network_error=network_error,
            memory_available=machine_info.available_memory(),
            disk_thousandths=disk,
            inodes_thousandths=inodes,
        )

    async def run_lease(self) -> None:
        """Renew the node's lease until cancelled."""
        await self.registered.wait()
        held: Obj | None = None
        while True:
            try:
                held = await self._renew(held)
                pause = LEASE_RENEW_SECONDS
            except ApiError as exc:
                log.info("lease not renewed", extra={"why": exc.message})
                held, pause = None, 1.0
            await self._clock.sleep(pause)

    async def _renew(self, held: Obj | None) -> Obj:
        name = self._config.node_name
        spec = {
            "holderIdentity": name,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": rfc3339_micro(self._clock.now()),
        }
        if held is None:
            try:
                held = await self._client.get(LEASES, name, LEASE_NAMESPACE)
            except NotFound:
                return await self._client.create(LEASES, self._new_lease(spec))
        return await self._client.update(LEASES, held | {"spec": spec})

    def _new_lease(self, spec: Obj) -> Obj:
        owner = {
            "apiVersion": "v1",
            "kind": "Node",
            "name": self._config.node_name,
            "uid": uid_of(self.node),
        }
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": self._config.node_name,
                "namespace": LEASE_NAMESPACE,
                "ownerReferences": [owner],
            },
            "spec": spec,
        }


def _status_patch(before: Obj, after: Obj) -> Obj:
    """Only what differs; addresses as a whole, conditions by type as the API merges them."""
    patch: Obj = {}
    for name, value in after.items():
        if before.get(name) == value:
            continue
        if name == "addresses":
            value = [{"$patch": "replace"}, *value]
        patch[name] = value
    return patch
