"""How many replicas a metric asks for. Pure; usages and targets in thousandths.

Upstream: pkg/controller/podautoscaler/replica_calculator.go, metrics/utilization.go.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from tiphys.api import quantity
from tiphys.api.meta import Obj, at, condition, is_terminating, name_of, parse_time
from tiphys.controllers import pods as pod_facts

CPU_INITIALIZATION: Final = timedelta(minutes=5)  # --horizontal-pod-autoscaler-cpu-...-period
INITIAL_READINESS_DELAY: Final = timedelta(seconds=30)
TOLERANCE: Final = 0.1  # --horizontal-pod-autoscaler-tolerance


class CalculationError(Exception):
    """The metric gives no number; the text is upstream's."""


class Tolerances(NamedTuple):
    up: float = TOLERANCE
    down: float = TOLERANCE

    def hold(self, ratio: float) -> bool:
        return 1.0 - self.down <= ratio <= 1.0 + self.up


USUAL: Final = Tolerances()


class Usage(NamedTuple):
    """What a pod used, and when and for how long it was measured."""

    millis: int
    at: datetime
    window_seconds: float = 60.0


class Result(NamedTuple):
    replicas: int
    average_millis: int
    percent: int | None = None


@dataclass(slots=True)
class _Groups:
    ready: int = 0
    unready: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    ignored: set[str] = field(default_factory=set)


def _group(
    pods: Sequence[Obj], usages: Mapping[str, Usage], resource: str, now: datetime
) -> _Groups:
    found = _Groups()
    for pod in pods:
        name = name_of(pod)
        if is_terminating(pod) or pod_facts.phase(pod) == "Failed":
            found.ignored.add(name)
        elif pod_facts.phase(pod) == "Pending":
            found.unready.add(name)
        elif name not in usages:
            found.missing.add(name)
        elif resource == "cpu" and _is_starting(pod, usages[name], now):
            found.unready.add(name)
        else:
            found.ready += 1
    return found


def _is_starting(pod: Obj, usage: Usage, now: datetime) -> bool:
    """A pod that is not ready since its start: what it uses now says nothing."""
    ready, started = condition(pod, "Ready"), at(pod, "status", "startTime")
    if ready is None or not started:
        return True
    since, began = parse_time(ready["lastTransitionTime"]), parse_time(started)
    not_ready = ready.get("status") == "False"
    if began + CPU_INITIALIZATION > now:
        return not_ready or usage.at < since + timedelta(seconds=usage.window_seconds)
    return not_ready and began + INITIAL_READINESS_DELAY > since


def requests_of(pods: Sequence[Obj], resource: str, container: str) -> dict[str, int]:
    """Requests by pod. Raises CalculationError where a container has none."""
    found: dict[str, int] = {}
    for pod in pods:
        total = 0
        for one in at(pod, "spec", "containers", default=[]):
            if container and one["name"] != container:
                continue
            request = at(one, "resources", "requests", resource)
            if request is None:
                raise CalculationError(
                    f"missing request for {resource} in container {one['name']} of Pod"
                    f" {name_of(pod)}"
                )
            total += quantity.of(request).milli_value
        found[name_of(pod)] = total
    return found


def by_utilization(
    current: int,
    target_percent: int,
    usages: Mapping[str, Usage],
    pods: Sequence[Obj],
    resource: str,
    container: str,
    now: datetime,
    tolerances: Tolerances = USUAL,
) -> Result:
    """Usage as a share of requests. Source: GetResourceReplicas. Raises CalculationError."""
    groups = _checked_groups(pods, usages, resource, now)
    requests = requests_of(pods, resource, container)
    counted = _without(usages, groups.ignored | groups.unready)
    if not counted:
        raise CalculationError("did not receive metrics for targeted pods (pods might be unready)")
    ratio, percent, average = _utilization(counted, requests, target_percent)
    fallback = max(100, target_percent)
    absent = {n: requests[n] * fallback // 100 for n in groups.missing}

    def again(filled: Mapping[str, int]) -> float:
        return _utilization(filled, requests, target_percent)[0]

    replicas = _decide(current, ratio, counted, groups, absent, again, tolerances)
    return Result(replicas, average, percent)


def by_average(
    current: int,
    target_millis: int,
    usages: Mapping[str, Usage],
    pods: Sequence[Obj],
    resource: str,
    now: datetime,
    tolerances: Tolerances = USUAL,
) -> Result:
    """Usage per pod. Source: calcPlainMetricReplicas. Raises CalculationError."""
    groups = _checked_groups(pods, usages, resource, now)
    counted = _without(usages, groups.ignored | groups.unready)
    if not counted:
        raise CalculationError("did not receive metrics for targeted pods (pods might be unready)")

    def again(filled: Mapping[str, int]) -> float:
        return sum(filled.values()) / len(filled) / target_millis

    absent = dict.fromkeys(groups.missing, target_millis)
    replicas = _decide(current, again(counted), counted, groups, absent, again, tolerances)
    return Result(replicas, sum(counted.values()) // len(counted))


def _checked_groups(
    pods: Sequence[Obj], usages: Mapping[str, Usage], resource: str, now: datetime
) -> _Groups:
    if not pods:
        raise CalculationError("no pods returned by selector while calculating replica count")
    return _group(pods, usages, resource, now)


def _without(usages: Mapping[str, Usage], names: set[str]) -> dict[str, int]:
    return {name: usage.millis for name, usage in usages.items() if name not in names}


def _utilization(
    usages: Mapping[str, int], requests: Mapping[str, int], target_percent: int
) -> tuple[float, int, int]:
    """(ratio to the target, percent, average). Source: GetResourceUtilizationRatio."""
    known = [name for name in usages if name in requests]
    used = sum(usages[n] for n in known)
    asked = sum(requests[n] for n in known)
    if not asked:
        raise CalculationError("no metrics returned matched known pods")
    percent = used * 100 // asked
    return percent / target_percent, percent, used // len(known)


def _decide(
    current: int,
    ratio: float,
    counted: dict[str, int],
    groups: _Groups,
    absent: Mapping[str, int],
    again: Callable[[Mapping[str, int]], float],
    tolerances: Tolerances,
) -> int:
    """Pods without a measurement are taken to work against the change."""
    unready_count = bool(groups.unready) and ratio > 1.0
    if not unready_count and not groups.missing:
        return current if tolerances.hold(ratio) else math.ceil(ratio * groups.ready)
    filled = dict(counted)
    if groups.missing and ratio < 1.0:
        filled |= absent
    elif groups.missing:
        filled |= dict.fromkeys(groups.missing, 0)
    if unready_count:
        filled |= dict.fromkeys(groups.unready, 0)
    new = again(filled)
    if tolerances.hold(new) or (ratio < 1.0 < new) or (ratio > 1.0 > new):
        return current
    replicas = math.ceil(new * len(filled))
    if (new < 1.0 and replicas > current) or (new > 1.0 and replicas < current):
        return current
    return replicas


def by_value(
    current: int,
    target_millis: int,
    usage_millis: int,
    pods: Sequence[Obj],
    tolerances: Tolerances = USUAL,
) -> Result:
    """One number for all pods. Source: getUsageRatioReplicaCount."""
    ratio = usage_millis / target_millis
    if current == 0:
        return Result(math.ceil(ratio), usage_millis)
    if tolerances.hold(ratio):
        return Result(current, usage_millis)
    ready = sum(1 for p in pods if pod_facts.phase(p) == "Running" and pod_facts.is_ready(p))
    return Result(math.ceil(ratio * ready), usage_millis)


def by_value_per_pod(
    status_replicas: int,
    target_millis: int,
    usage_millis: int,
    tolerances: Tolerances = USUAL,
) -> Result:
    """One number shared by the pods. Source: GetExternalPerPodMetricReplicas."""
    count = status_replicas
    ratio = usage_millis / (target_millis * count) if count else math.inf
    if not tolerances.hold(ratio):
        count = math.ceil(usage_millis / target_millis)
    average = math.ceil(usage_millis / status_replicas) if status_replicas else usage_millis
    return Result(count, average)
