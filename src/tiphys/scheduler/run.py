"""The scheduler: watches pods and nodes, decides one pod after the other, binds beside that.

Upstream: pkg/scheduler/scheduler.go, schedule_one.go, eventhandlers.go.
"""

import logging
import random
from collections.abc import Sequence
from typing import Final

from tiphys.api.errors import ApiError, Conflict, NotFound
from tiphys.api.labels import EVERYTHING
from tiphys.api.meta import (
    GroupVersionResource,
    Obj,
    at,
    condition,
    is_terminating,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    rfc3339,
    uid_of,
)
from tiphys.client.controller_metrics import lease_family
from tiphys.client.informer import Informer, all_synced
from tiphys.client.leader_election import Election, lead
from tiphys.client.metrics_page import serve_metrics
from tiphys.client.recorder import EventRecorder
from tiphys.client.rest import Client
from tiphys.lib.clock import Clock, SystemClock
from tiphys.lib.prometheus_text import Family
from tiphys.lib.tasks import TaskSet, keep_running
from tiphys.scheduler import cycle, framework, volumes
from tiphys.scheduler.cache import Cache
from tiphys.scheduler.config import SchedulerConfig
from tiphys.scheduler.framework import PodInfo
from tiphys.scheduler.metrics import SchedulerMetrics
from tiphys.scheduler.plugins import default_preemption
from tiphys.scheduler.plugins.default_profile import DEFAULT
from tiphys.scheduler.preemption import Preemptor
from tiphys.scheduler.queue import SchedulingQueue, Waiting
from tiphys.scheduler.siblings import Siblings
from tiphys.scheduler.volumes import Volumes

log = logging.getLogger(__name__)

PODS: Final = GroupVersionResource("", "v1", "pods")
NODES: Final = GroupVersionResource("", "v1", "nodes")
NAMESPACES: Final = GroupVersionResource("", "v1", "namespaces")
FLUSH_SECONDS: Final = 30.0
VOLUME_EVENTS: Final = {
    volumes.CLAIMS.resource: framework.CLAIM_CHANGE,
    volumes.VOLUMES.resource: framework.VOLUME_CHANGE,
    volumes.CLASSES.resource: framework.CLASS_CHANGE,
}


async def run(config: SchedulerConfig) -> None:
    """Wait for the lease, then schedule until cancelled."""
    client = Client.from_kubeconfig(
        config.kubeconfig, user_agent="kube-scheduler", multiplexed=True
    )
    clock = SystemClock()
    election = Election(client, "kube-system", "kube-scheduler", config.identity, clock)
    tasks, metrics = TaskSet(), SchedulerMetrics()
    leading: list[Scheduler] = []

    async def work() -> None:
        leading.append(Scheduler(client, config, clock, random.Random(), metrics))
        try:
            await leading[0].run()
        finally:
            leading.clear()

    def families() -> list[Family]:
        pending = leading[0].pending() if leading else {}
        lease = lease_family("kube-scheduler", is_leader=bool(leading))
        return [*metrics.families(pending), lease, client.requests.family()]

    try:
        tasks.start(serve_metrics(config.metrics, families, client, clock), "metrics")
        await lead(election, work)
    finally:
        await tasks.close()
        client.close()


class Scheduler:
    def __init__(
        self,
        client: Client,
        config: SchedulerConfig,
        clock: Clock,
        rng: random.Random,
        metrics: SchedulerMetrics,
    ) -> None:
        self._metrics = metrics
        self._client = client
        self._config = config
        self._clock = clock
        self._rng = rng
        self._tasks = TaskSet()
        self._recorder = EventRecorder(client, config.scheduler_name, clock)
        self._cache = Cache()
        self._queue = SchedulingQueue(
            clock,
            initial_seconds=config.pod_initial_backoff_seconds,
            max_seconds=config.pod_max_backoff_seconds,
        )
        self._volumes = Volumes(client, lambda kind: self._queue.move(VOLUME_EVENTS[kind]))
        self._siblings = Siblings(client, self._tasks)
        self._preemptor = Preemptor(client, self._recorder, clock, config.scheduler_name)
        self._start = 0  # The node at which the next search begins.

    async def run(self) -> None:
        pods, nodes = Informer(self._client, PODS), Informer(self._client, NODES)
        namespaces = Informer(self._client, NAMESPACES, metadata_only=True)
        namespaces.on_change(self._namespace_changed)
        nodes.on_change(self._node_changed)
        pods.on_change(self._pod_changed)
        try:
            facts = (nodes, namespaces, *self._volumes.informers)
            for informer in (*facts, pods):
                name = f"informer {informer.gvr.resource}"
                self._tasks.start(keep_running(name, informer.run), name)
            self._tasks.start(keep_running("events", self._recorder.run), "events")
            await all_synced([*facts, pods])
            log.info("scheduler started", extra={"nodes": len(nodes), "pods": len(pods)})
            self._tasks.start(keep_running("flush", self._flush), "flush")
            while True:
                await self._schedule(await self._queue.get())
        finally:
            await self._tasks.close()

    def pending(self) -> dict[str, int]:
        return self._queue.counts()

    async def _flush(self) -> None:
        while True:
            await self._clock.sleep(FLUSH_SECONDS)
            self._queue.flush()

    def _node_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is None:
            assert old is not None
            self._cache.remove_node(name_of(old))
            return
        self._cache.set_node(new)
        for event in node_events(old, new):
            self._queue.move(event)

    def _namespace_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is not None:
            self._cache.set_namespace(name_of(new), labels_of(new))
        elif old is not None:
            self._cache.remove_namespace(name_of(old))

    def _pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        pod = new or old
        assert pod is not None
        finished = at(pod, "status", "phase") in ("Succeeded", "Failed")
        if new is None or finished:
            self._queue.remove(key_of(pod))
            self._cache.nominate(PodInfo(pod), "")
            if self._cache.is_known(uid_of(pod)):
                self._cache.remove_pod(uid_of(pod))
                self._queue.move(framework.POD_DELETE)
        elif at(new, "spec", "nodeName"):
            self._queue.remove(key_of(new))
            self._cache.set_pod(new)
            for event in pod_events(old, new):
                self._queue.move(event)
        elif self._is_ours(new) and not self._cache.is_known(uid_of(new)):
            gated = any(check(new) for _, check in DEFAULT.pre_enqueue)
            self._cache.nominate(PodInfo(new), cycle.nominated_node(PodInfo(new)))
            self._queue.add(new, gated=gated)

    def _is_ours(self, pod: Obj) -> bool:
        name = at(pod, "spec", "schedulerName", default="default-scheduler")
        return bool(name == self._config.scheduler_name) and not is_terminating(pod)

    async def _schedule(self, waiting: Waiting) -> None:
        began = self._clock.monotonic()
        siblings = EVERYTHING
        if self._cache.has_choice:  # One node, or none, leaves nothing to spread.
            siblings = await self._siblings.of(waiting.pod)
        pod = waiting.pod  # As it is now.
        info = PodInfo(pod, self._volumes.facts(pod), siblings)
        snapshot = self._cache.snapshot()
        decision = cycle.decide(info, snapshot, DEFAULT, self._rng, self._start)
        if snapshot.nodes:
            self._start = (self._start + 1) % len(snapshot.nodes)
        if decision.diagnosis is not None:
            await self._make_room(waiting, info, decision.diagnosis)
            self._metrics.attempted("unschedulable", self._clock.monotonic() - began)
            return
        self._cache.assume(info, decision.node)
        # Binding waits for the API; the next pod need not.
        self._tasks.start(self._bind(waiting, info, decision.node, began), f"bind {waiting.key}")

    async def _make_room(self, waiting: Waiting, info: PodInfo, diagnosis: cycle.Diagnosis) -> None:
        """Nothing fits: perhaps where less important pods go."""
        budgets: Sequence[Obj] = ()
        if default_preemption.may_help(info, self._cache.snapshot(), diagnosis):
            budgets = await self._preemptor.budgets()
        found = default_preemption.preempt(
            info, self._cache.snapshot(), DEFAULT, diagnosis, budgets, self._start
        )
        nominated = found.candidate.node if found.candidate else ""
        if found.is_waiting or at(info.pod, "spec", "preemptionPolicy") == "Never":
            nominated = cycle.nominated_node(info)
        self._cache.nominate(info, nominated)
        await self._say_unschedulable(waiting, info, diagnosis, found.text, nominated)
        if found.candidate is not None:
            await self._preemptor.make_room(info, found)

    async def _bind(self, waiting: Waiting, info: PodInfo, node: str, began: float) -> None:
        pod = info.pod
        name, namespace = name_of(pod), namespace_of(pod)
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": namespace, "uid": uid_of(pod)},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        try:
            await self._client.create(PODS, binding, namespace, name=name, subresource="binding")
        except (NotFound, Conflict) as exc:
            # Gone, made anew, or bound by somebody else: the watch tells what to do.
            log.info("pod not bound", extra={"pod": waiting.key, "why": exc.message})
            self._cache.forget(uid_of(pod))
            self._queue.done(waiting)
        except ApiError as exc:
            self._metrics.attempted("error", self._clock.monotonic() - began)
            log.warning("binding failed", extra={"pod": waiting.key, "why": exc.message})
            self._cache.forget(uid_of(pod))
            self._queue.reject(waiting, frozenset())
            self._recorder.event(
                pod, "Warning", "FailedScheduling", exc.message, action="Scheduling"
            )
        else:
            self._queue.done(waiting)
            self._metrics.attempted("scheduled", self._clock.monotonic() - began)
            text = f"Successfully assigned {namespace}/{name} to {node}"
            self._recorder.event(pod, "Normal", "Scheduled", text, action="Binding")

    async def _say_unschedulable(
        self,
        waiting: Waiting,
        info: PodInfo,
        diagnosis: cycle.Diagnosis,
        preemption: str,
        nominated: str,
    ) -> None:
        text = cycle.message(diagnosis, preemption)
        self._queue.reject(waiting, retry_events(diagnosis))
        self._recorder.event(info.pod, "Warning", "FailedScheduling", text, action="Scheduling")
        patch = unschedulable_patch(info.pod, text, rfc3339(self._clock.now()), nominated)
        if patch is None:
            return
        try:
            await self._client.patch(
                PODS, name_of(info.pod), patch, namespace_of(info.pod), "status"
            )
        except ApiError as exc:
            log.info("condition not written", extra={"pod": waiting.key, "why": exc.message})


def retry_events(diagnosis: cycle.Diagnosis) -> frozenset[str]:
    """What may help; with no node at all, any node."""
    events: set[str] = {framework.NODE_ADD}
    for plugin in DEFAULT.filters:
        if plugin.name in diagnosis.plugins:
            events |= plugin.retry_on
    return frozenset(events)


def pod_events(old: Obj | None, new: Obj) -> list[str]:
    """What changed of a pod that has a node and matters to waiting ones."""
    if old is None or not at(old, "spec", "nodeName"):
        return [framework.POD_ADD]
    return [framework.POD_LABEL] if labels_of(old) != labels_of(new) else []


def node_events(old: Obj | None, new: Obj) -> list[str]:
    """What changed of a node that matters to waiting pods."""
    if old is None:
        return [framework.NODE_ADD]
    events = []
    if at(old, "metadata", "labels") != at(new, "metadata", "labels"):
        events.append(framework.NODE_LABEL)
    taints_changed = at(old, "spec", "taints") != at(new, "spec", "taints")
    if taints_changed or at(old, "spec", "unschedulable") != at(new, "spec", "unschedulable"):
        events.append(framework.NODE_TAINT)
    if at(old, "status", "allocatable") != at(new, "status", "allocatable"):
        events.append(framework.NODE_ALLOCATABLE)
    return events


def unschedulable_patch(pod: Obj, message: str, now: str, nominated: str = "") -> Obj | None:
    """The PodScheduled condition and the nominated node; None when the pod says so already."""
    found = condition(pod, "PodScheduled")
    status: Obj = {}
    if nominated != at(pod, "status", "nominatedNodeName", default=""):
        status["nominatedNodeName"] = nominated or None
    is_false = found is not None and found.get("status") == "False"
    if found is None or not is_false or found.get("message") != message:
        changed = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": message,
            "lastProbeTime": None,
            "lastTransitionTime": now,
            "observedGeneration": at(pod, "metadata", "generation", default=1),
        }
        if found is not None and is_false:
            changed["lastTransitionTime"] = found.get("lastTransitionTime") or now
        status["conditions"] = [changed]
    return {"status": status} if status else None
