"""Simulated nodes: they register, renew their leases and report what rules say of their pods.

Upstream: pkg/kubelet (kubelet_node_status.go, nodelease); kwok is alike.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from tiphys.api.errors import AlreadyExists, ApiError, NotFound
from tiphys.api.meta import (
    GroupVersionResource,
    Obj,
    ObjectKey,
    at,
    is_terminating,
    name_of,
    namespace_of,
    rfc3339,
    rfc3339_micro,
    uid_of,
)
from tiphys.client.controller import KeyedController
from tiphys.client.informer import Informer
from tiphys.client.rest import Client
from tiphys.lib.clock import Clock
from tiphys.testing.rules import RUNNING, Place, Rule, RuleError, rule_of, status_at

log = logging.getLogger(__name__)

NODES: Final = GroupVersionResource("", "v1", "nodes")
PODS: Final = GroupVersionResource("", "v1", "pods")
LEASES: Final = GroupVersionResource("coordination.k8s.io", "v1", "leases")
LEASE_NAMESPACE: Final = "kube-node-lease"
LEASE_SECONDS: Final = 40  # nodeLeaseDurationSeconds
RENEW_SECONDS: Final = 10.0  # A quarter of it: kubelet.go nodeLeaseRenewIntervalFraction
STATUS_SECONDS: Final = 300.0  # nodeStatusReportFrequency
NODE_IP: Final = "127.0.0.1"  # All nodes' kubelets are one server there.
CAPACITY: Final = {
    "cpu": "32",
    "memory": "256Gi",
    "ephemeral-storage": "1Ti",
    "hugepages-1Gi": "0",
    "hugepages-2Mi": "0",
    "pods": "110",
}
_CONDITIONS: Final = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID"),
    ("Ready", "True", "KubeletReady"),
)


@dataclass(slots=True)
class Node:
    """One simulated node. `is_down` nodes do nothing, as a machine without power."""

    name: str
    labels: dict[str, str] = field(default_factory=dict)
    taints: list[Obj] = field(default_factory=list)
    capacity: dict[str, str] = field(default_factory=dict)
    is_down: bool = False


def new_node(node: Node) -> Obj:
    """The object to register."""
    labels = {
        "beta.kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": node.name,
        "kubernetes.io/os": "linux",
    }
    spec: Obj = {"taints": node.taints} if node.taints else {}
    metadata = {"name": node.name, "labels": labels | node.labels}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec}


def endpoints(port: int) -> Obj:
    """Where the node's kubelet listens."""
    return {"kubeletEndpoint": {"Port": port}}


def node_status(node: Node, version: str, port: int, before: Obj, now: datetime) -> Obj:
    """A healthy node's status; before: as it was, for the times of its conditions."""
    old = {c["type"]: c for c in at(before, "conditions", default=[])}
    capacity = CAPACITY | node.capacity
    return {
        "capacity": capacity,
        "allocatable": capacity,
        "conditions": [_condition(*c, old.get(c[0]), now) for c in _CONDITIONS],
        "addresses": [
            {"type": "InternalIP", "address": NODE_IP},
            {"type": "Hostname", "address": node.name},
        ],
        "daemonEndpoints": endpoints(port),
        "nodeInfo": {
            "machineID": node.name,
            "systemUUID": node.name,
            "bootID": node.name,
            "kernelVersion": "simulated",
            "osImage": "simulated",
            "containerRuntimeVersion": "simulated://1",
            "kubeletVersion": version,
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": "amd64",
        },
    }


def _condition(kind: str, status: str, reason: str, old: Obj | None, now: datetime) -> Obj:
    same = old is not None and old.get("status") == status
    since = old.get("lastTransitionTime") if old is not None and same else rfc3339(now)
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": "simulated",
        "lastHeartbeatTime": rfc3339(now),
        "lastTransitionTime": since,
    }


class Heartbeat:
    """Registers one node, then renews its lease and status until cancelled."""

    def __init__(
        self,
        node: Node,
        client: Client,
        clock: Clock,
        version: str,
        port: int,
        *,
        is_known: bool = False,
    ) -> None:
        """port: the kubelet's; is_known: it has registered before (in a prepared state)."""
        self._port = port
        self._is_known = is_known
        self._node = node
        self._client = client
        self._clock = clock
        self._version = version
        self._lease: Obj | None = None

    async def run(self) -> None:
        reported: float | None = None
        if self._is_known:
            reported = self._clock.monotonic()
            moved = {"status": {"daemonEndpoints": endpoints(self._port)}}
            await self._client.patch(NODES, self._node.name, moved, subresource="status")
            await self._clock.sleep(RENEW_SECONDS)
        while True:
            if not self._node.is_down:
                if reported is None or self._clock.monotonic() - reported >= STATUS_SECONDS:
                    await self._report()
                    reported = self._clock.monotonic()
                await self._renew()
            else:
                reported = None  # What others wrote meanwhile must be put right.
            await self._clock.sleep(RENEW_SECONDS)

    async def _report(self) -> None:
        try:
            found = await self._client.get(NODES, self._node.name)
        except NotFound:
            found = await self._client.create(NODES, new_node(self._node))
        before = found.get("status") or {}
        now = self._clock.now()
        status = node_status(self._node, self._version, self._port, before, now)
        await self._client.patch(NODES, self._node.name, {"status": status}, subresource="status")

    async def _renew(self) -> None:
        spec = {
            "holderIdentity": self._node.name,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": rfc3339_micro(self._clock.now()),
        }
        if self._lease is not None:
            try:
                wanted = {**self._lease, "spec": spec}
                self._lease = await self._client.update(LEASES, wanted)
                return
            except ApiError as exc:
                log.info("lease not renewed", extra={"node": self._node.name, "why": exc.message})
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._node.name, "namespace": LEASE_NAMESPACE},
            "spec": spec,
        }
        try:
            self._lease = await self._client.create(LEASES, lease)
        except AlreadyExists:
            found = await self._client.get(LEASES, self._node.name, LEASE_NAMESPACE)
            self._lease = await self._client.update(LEASES, {**found, "spec": spec})


@dataclass(frozen=True, slots=True)
class Choice:
    """A rule that a test gave in Python, from a moment on."""

    matches: Callable[[Obj], bool]
    rule: Rule
    since: datetime


class Kubelets(KeyedController):
    """All nodes' kubelets: what rules say of their pods is written to their status."""

    name = "simulated-kubelet"

    def __init__(
        self,
        nodes: dict[str, Node],
        pods: Informer,
        client_of: Callable[[str], Client],
        clock: Clock,
    ) -> None:
        super().__init__()
        self._nodes = nodes
        self._pods = pods
        self._client_of = client_of
        self._clock = clock
        self._began: dict[str, datetime] = {}  # By uid: when the node took the pod.
        self._addresses: dict[str, str] = {}
        self._last_address = 0
        self.choices: list[Choice] = []
        pods.on_change(self._changed)

    def choose(self, matches: Callable[[Obj], bool], rule: Rule) -> None:
        """From now on, for the pods that match, present and to come; the last choice counts."""
        self.choices.append(Choice(matches, rule, self._clock.now()))
        self.look_again()

    def look_again(self) -> None:
        for pod in self._pods.items():
            self._changed(None, pod)

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is None and old is not None:
            self._began.pop(uid_of(old), None)
            self._addresses.pop(uid_of(old), None)
        elif new is not None and at(new, "spec", "nodeName") in self._nodes:
            self.enqueue(old, new)

    async def reconcile(self, key: ObjectKey) -> float | None:
        pod = self._pods.get(key)
        node = self._nodes.get(at(pod, "spec", "nodeName", default=""))
        if pod is None or node is None or node.is_down:
            return None
        client = self._client_of(node.name)
        if at(pod, "status", "phase") in ("Succeeded", "Failed"):
            if is_terminating(pod):
                await self._remove(client, pod)
            return None
        rule, began = self._rule(pod)
        place = Place(NODE_IP, self._address(pod))
        status, following = status_at(pod, rule, place, began, self._clock.now())
        if any((pod.get("status") or {}).get(k) != v for k, v in status.items()):
            patch = {"metadata": {"uid": uid_of(pod)}, "status": status}
            try:
                await client.patch(PODS, name_of(pod), patch, namespace_of(pod), "status")
            except NotFound:
                return None
        if is_terminating(pod):
            await self._remove(client, pod)
        return following

    def _rule(self, pod: Obj) -> tuple[Rule, datetime]:
        began = self._began.setdefault(uid_of(pod), self._clock.now())
        for choice in reversed(self.choices):
            if choice.matches(pod):
                return choice.rule, max(began, choice.since)
        try:
            return rule_of(pod), began
        except RuleError as exc:
            log.warning("rule not understood", extra={"pod": name_of(pod), "why": str(exc)})
            return RUNNING, began

    def _address(self, pod: Obj) -> str:
        """10.244.0.0/16, one after the other."""
        uid = uid_of(pod)
        if uid not in self._addresses:
            self._last_address = self._last_address % 65_000 + 1
            high, low = divmod(self._last_address, 250)
            self._addresses[uid] = f"10.244.{high}.{low + 1}"
        return self._addresses[uid]

    async def _remove(self, client: Client, pod: Obj) -> None:
        try:
            await client.delete(
                PODS, name_of(pod), namespace_of(pod), grace_period_seconds=0, uid=uid_of(pod)
            )
        except NotFound:
            return
