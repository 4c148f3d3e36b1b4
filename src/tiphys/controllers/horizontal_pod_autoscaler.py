"""Horizontal pod autoscaler: as many replicas as the metrics ask for.

Upstream: pkg/controller/podautoscaler/horizontal.go.
Reads HorizontalPodAutoscaler, Pod, the target's scale, the metrics APIs. Writes the scale and
HorizontalPodAutoscaler/status. Numbers are in replica_calculator.py and scaling_behavior.py,
metrics in pod_metrics.py.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from tiphys.api import labels
from tiphys.api.errors import ApiError, NotFound
from tiphys.api.meta import (
    GroupVersionResource,
    Obj,
    ObjectKey,
    at,
    key_of,
    labels_of,
    namespace_of,
    parse_time,
    rfc3339,
)
from tiphys.client.controller import Context, KeyedController
from tiphys.controllers.kinds import HORIZONTAL_POD_AUTOSCALERS, PODS
from tiphys.controllers.pod_metrics import Asked, MetricError, PodMetrics
from tiphys.controllers.pods_by_namespace import pods_by_namespace
from tiphys.controllers.scaling_behavior import Bounds, History, Moment, normalize

SYNC_SECONDS: Final = 15.0  # --horizontal-pod-autoscaler-sync-period
REMEMBERED: Final = timedelta(hours=1)  # The longest window and period that may be given.


def with_condition(status: Obj, kind: str, value: str, reason: str, message: str, now: str) -> None:
    """Set a condition of a status of our own; its time changes with its value."""
    conditions: list[Obj] = status.setdefault("conditions", [])
    wanted = {"type": kind, "status": value, "lastTransitionTime": now}
    wanted |= {"reason": reason, "message": message}
    for number, found in enumerate(conditions):
        if found["type"] == kind:
            if found["status"] == value:
                wanted["lastTransitionTime"] = found["lastTransitionTime"]
            conditions[number] = wanted
            return
    conditions.append(wanted)


@dataclass(slots=True)
class _Sync:
    """One sync: the autoscaler, a status of its own, the scale."""

    hpa: Obj
    status: Obj
    now: str
    scale: Obj = field(default_factory=dict)

    @property
    def current(self) -> int:
        return int(at(self.scale, "spec", "replicas", default=0))

    @property
    def bounds(self) -> Bounds:
        low = at(self.hpa, "spec", "minReplicas")
        return Bounds(1 if low is None else int(low), int(self.hpa["spec"]["maxReplicas"]))

    def set(self, kind: str, value: str, reason: str, message: str) -> None:
        with_condition(self.status, kind, value, reason, message, self.now)


def _first_wait(hpa: Obj, now: datetime) -> float:
    """Seconds until a new one is looked at: a period, as upstream's queue has it."""
    if at(hpa, "status", "conditions"):
        return 0.0
    age = (now - parse_time(hpa["metadata"]["creationTimestamp"])).total_seconds()
    return SYNC_SECONDS - age


class HorizontalPodAutoscalerController(KeyedController):
    name = "horizontal-pod-autoscaler"

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._client = context.client_for("horizontal-pod-autoscaler")
        self._clock = context.clock
        self._recorder = context.recorder(self.name)
        self._hpas = context.informers.of(HORIZONTAL_POD_AUTOSCALERS)
        self._pods = pods_by_namespace(context.informers.of(PODS))
        self._metrics = PodMetrics(self._client, self._clock)
        self._histories: dict[ObjectKey, History] = {}
        self._selectors: dict[ObjectKey, str] = {}
        self._resources: dict[tuple[str, str], str] = {}  # (group/version, kind) -> plural
        self._hpas.on_change(self._changed)

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        if old is not None and new is not None and old.get("spec") == new.get("spec"):
            return  # A status, our own: the next sync is due by time.
        self.enqueue(old, new)

    async def reconcile(self, key: ObjectKey) -> float | None:
        hpa = self._hpas.get(key)
        if hpa is None:
            self._histories.pop(key, None)
            self._selectors.pop(key, None)
            return None
        if (wait := _first_wait(hpa, self._clock.now())) > 0:
            return wait
        status = copy.deepcopy(hpa.get("status") or {})
        sync = _Sync(hpa, status, rfc3339(self._clock.now()))
        try:
            await self._sync(sync, key)
        except MetricError as exc:
            self._recorder.event(hpa, "Warning", "FailedComputeMetricsReplicas", str(exc))
            sync.status["currentReplicas"] = sync.current
        await self._write_status(sync)
        return SYNC_SECONDS

    async def _sync(self, sync: _Sync, key: ObjectKey) -> None:
        target = sync.hpa["spec"]["scaleTargetRef"]
        try:
            where = await self._where(target)
            sync.scale = await self._client.get(where, target["name"], key.namespace, "scale")
        except ApiError as exc:
            self._recorder.event(sync.hpa, "Warning", "FailedGetScale", exc.message)
            text = f"the HPA controller was unable to get the target's current scale: {exc.message}"
            sync.set("AbleToScale", "False", "FailedGetScale", text)
            return
        text = "the HPA controller was able to get the target's current scale"
        sync.set("AbleToScale", "True", "SucceededGetScale", text)
        current, bounds = sync.current, sync.bounds
        history = self._histories.setdefault(key, History([Moment(self._clock.now(), current)]))
        desired, reason = current, ""
        if current == 0 and bounds.low != 0:
            text = "scaling is disabled since the replica count of the target is zero"
            sync.set("ScalingActive", "False", "ScalingDisabled", text)
            desired = 0
        elif current > bounds.high:
            desired, reason = bounds.high, "Current number of replicas above Spec.MaxReplicas"
        elif current < bounds.low:
            desired, reason = bounds.low, "Current number of replicas below Spec.MinReplicas"
        else:
            desired, reason = await self._by_metrics(sync, key, history)
        if desired != current and not await self._rescale(sync, where, desired, reason, history):
            sync.status["currentReplicas"] = current
            return
        sync.status |= {"currentReplicas": current, "desiredReplicas": desired}
        if desired != current:
            sync.status["lastScaleTime"] = sync.now

    async def _where(self, target: Obj) -> GroupVersionResource:
        """The resource of a kind, by discovery, which is asked once. Raises ApiError."""
        group, _, version = str(target.get("apiVersion") or "v1").rpartition("/")
        gvr = GroupVersionResource(group, version, "")
        known = self._resources.get((gvr.path, target["kind"]))
        if known is None:
            listed = await self._client.request("GET", gvr.path)
            for resource in listed.get("resources") or []:
                if resource["kind"] == target["kind"] and "/" not in resource["name"]:
                    known = str(resource["name"])
            if known is None:
                raise NotFound(f'no matches for kind "{target["kind"]}" in group "{group}"')
            self._resources[gvr.path, target["kind"]] = known
        return gvr._replace(resource=known)

    async def _by_metrics(self, sync: _Sync, key: ObjectKey, history: History) -> tuple[int, str]:
        """(replicas, why). Raises MetricError."""
        hpa, current, now = sync.hpa, sync.current, self._clock.now()
        selected = self._selected(sync, key)
        asked, name = await self._asked(sync, selected)
        wanted = max(asked, 0)
        reason = f"{name} above target" if wanted > current else "All metrics below target"
        behavior = at(hpa, "spec", "behavior")
        result = normalize(behavior, current, wanted, sync.bounds, history, now)
        history.recommendations.append(Moment(now, wanted))
        history.forget_before(now - REMEMBERED)
        sync.set("AbleToScale", "True", *result.stabilized)
        sync.set("ScalingLimited", str(result.is_limited), *result.limited)
        return result.replicas, reason

    def _selected(self, sync: _Sync, key: ObjectKey) -> list[Obj]:
        """The target's pods, none of which may be another autoscaler's. Raises MetricError."""
        text = str(at(sync.scale, "status", "selector", default=""))
        self._selectors[key] = text
        if not text:
            self._recorder.event(sync.hpa, "Warning", "SelectorRequired", "selector is required")
            message = "the HPA target's scale is missing a selector"
            sync.set("ScalingActive", "False", "InvalidSelector", message)
            raise MetricError("selector is required", "InvalidSelector")
        selected = self._pods.matching(key.namespace, labels.parse(text).matches)
        rivals = self._rivals(key, selected)
        if len(rivals) > 1:
            shown = " ".join(f"{r.namespace}/{r.name}" for r in rivals)
            message = f"pods by selector {text} are controlled by multiple HPAs: [{shown}]"
            sync.set("ScalingActive", "False", "AmbiguousSelector", message)
            self._recorder.event(sync.hpa, "Warning", "AmbiguousSelector", message)
            raise MetricError(message, "AmbiguousSelector")
        return selected

    def _rivals(self, key: ObjectKey, selected: Sequence[Obj]) -> list[ObjectKey]:
        """The autoscalers of the namespace that want one of the pods."""
        found = []
        for other in sorted(map(key_of, self._hpas.items())):
            text = self._selectors.get(other)
            if other.namespace != key.namespace or not text:
                continue
            matches = labels.parse(text).matches
            if any(matches(labels_of(p)) for p in selected):
                found.append(other)
        return found

    async def _asked(self, sync: _Sync, selected: Sequence[Obj]) -> tuple[int, str]:
        """The most that a metric asks for. Raises MetricError when too many give no answer."""
        specs = at(sync.hpa, "spec", "metrics", default=[])
        best: Asked | None = None
        failed: list[MetricError] = []
        statuses: list[Obj] = []
        for spec in specs:
            try:
                asked = await self._metrics.asked(spec, sync.hpa, sync.scale, selected)
            except MetricError as exc:
                failed.append(exc)
                if exc.cause:
                    self._recorder.event(sync.hpa, "Warning", exc.reason, exc.cause)
                continue
            statuses.append(asked.status)
            if best is None or asked.replicas > best.replicas:
                best = asked
        if best is None or (failed and best.replicas < sync.current):
            first = failed[0]
            cause = first.cause or str(first)
            text = f"the HPA was unable to compute the replica count: {cause}"
            sync.set("ScalingActive", "False", first.reason, text)
            raise MetricError(
                f"invalid metrics ({len(failed)} invalid out of {len(specs)}), first error is:"
                f" {first}",
                first.reason,
            )
        sync.status["currentMetrics"] = statuses
        text = f"the HPA was able to successfully calculate a replica count from {best.name}"
        sync.set("ScalingActive", "True", "ValidMetricFound", text)
        return best.replicas, best.name

    async def _rescale(
        self, sync: _Sync, where: GroupVersionResource, desired: int, reason: str, history: History
    ) -> bool:
        """Write the scale; False when that failed."""
        hpa, before = sync.hpa, sync.current
        changed = {**sync.scale, "spec": {**(sync.scale.get("spec") or {}), "replicas": desired}}
        try:
            await self._client.update(where, changed, namespace_of(hpa), subresource="scale")
        except ApiError as exc:
            text = f"New size: {desired}; reason: {reason}; error: {exc.message}"
            self._recorder.event(hpa, "Warning", "FailedRescale", text)
            text = f"the HPA controller was unable to update the target scale: {exc.message}"
            sync.set("AbleToScale", "False", "FailedUpdateScale", text)
            return False
        text = f"the HPA controller was able to update the target scale to {desired}"
        sync.set("AbleToScale", "True", "SucceededRescale", text)
        text = f"New size: {desired}; reason: {reason}"
        self._recorder.event(hpa, "Normal", "SuccessfulRescale", text)
        events = history.ups if desired > before else history.downs
        events.append(Moment(self._clock.now(), abs(desired - before)))
        return True

    async def _write_status(self, sync: _Sync) -> None:
        status = sync.status
        status.setdefault("desiredReplicas", 0)
        status["observedGeneration"] = at(sync.hpa, "metadata", "generation", default=0)
        if not status["observedGeneration"]:
            status.pop("observedGeneration")
        if status == sync.hpa.get("status"):
            return
        changed = {**sync.hpa, "status": status}
        try:
            await self._client.update(HORIZONTAL_POD_AUTOSCALERS, changed, subresource="status")
        except NotFound:
            return
