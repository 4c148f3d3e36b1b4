"""What a HorizontalPodAutoscaler's bounds, windows and policies make of a recommendation. Pure.

Upstream: pkg/controller/podautoscaler/horizontal.go (normalizeDesiredReplicas,
normalizeDesiredReplicasWithBehaviors, convertDesiredReplicasWithRules).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from tiphys.api.meta import Obj, at

DOWNSCALE_WINDOW: Final = timedelta(minutes=5)  # ...-downscale-stabilization
SCALE_UP_FACTOR: Final = 2
SCALE_UP_MINIMUM: Final = 4
_MATCHES: Final = ("ReadyForNewScale", "recommended size matches current size")
_HIGHER: Final = (
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent"
    " recommendation",
)
_LOWER: Final = (
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
)
_WITHIN: Final = ("DesiredWithinRange", "the desired count is within the acceptable range")
_TOO_FEW: Final = (
    "TooFewReplicas",
    "the desired replica count is less than the minimum replica count",
)
_TOO_MANY: Final = (
    "TooManyReplicas",
    "the desired replica count is more than the maximum replica count",
)
_TOO_FAST: Final = (
    "ScaleUpLimit",
    "the desired replica count is increasing faster than the maximum scale rate",
)
_DOWN_TOO_FAST: Final = (
    "ScaleDownLimit",
    "the desired replica count is decreasing faster than the maximum scale rate",
)


class Moment(NamedTuple):
    """A recommendation, or a change of replicas, and when it was."""

    at: datetime
    replicas: int


@dataclass(slots=True)
class History:
    """What one autoscaler remembers; lost with the process, as upstream."""

    recommendations: list[Moment] = field(default_factory=list)
    ups: list[Moment] = field(default_factory=list)
    downs: list[Moment] = field(default_factory=list)

    def forget_before(self, moment: datetime) -> None:
        for events in (self.recommendations, self.ups, self.downs):
            events[:] = [e for e in events if e.at >= moment]


class Normalized(NamedTuple):
    """stabilized, limited: (reason, message) of AbleToScale and ScalingLimited."""

    replicas: int
    stabilized: tuple[str, str]
    limited: tuple[str, str]

    @property
    def is_limited(self) -> bool:
        return self.limited is not _WITHIN


class Bounds(NamedTuple):
    low: int
    high: int


def normalize(
    behavior: Obj | None,
    current: int,
    desired: int,
    bounds: Bounds,
    history: History,
    now: datetime,
) -> Normalized:
    """history holds the recommendations before this one."""
    if behavior is None:
        recent = [r.replicas for r in history.recommendations if r.at > now - DOWNSCALE_WINDOW]
        steady = max([desired, *recent])
        stabilized = _HIGHER if steady != desired else _MATCHES
        replicas, limited = _by_rules(current, steady, bounds)
        return Normalized(replicas, stabilized, limited)
    steady, stabilized = _stabilize(behavior, current, desired, history, now)
    replicas, limited = _by_rates(behavior, current, steady, bounds, history, now)
    return Normalized(replicas, stabilized, limited)


def _by_rules(current: int, desired: int, bounds: Bounds) -> tuple[int, tuple[str, str]]:
    limit = max(SCALE_UP_FACTOR * current, SCALE_UP_MINIMUM)
    high, reason = (limit, _TOO_FAST) if bounds.high > limit else (bounds.high, _TOO_MANY)
    if desired < bounds.low:
        return bounds.low, _TOO_FEW
    return (high, reason) if desired > high else (desired, _WITHIN)


def _stabilize(
    behavior: Obj, current: int, desired: int, history: History, now: datetime
) -> tuple[int, tuple[str, str]]:
    up_window = timedelta(seconds=int(at(behavior, "scaleUp", "stabilizationWindowSeconds") or 0))
    seconds = at(behavior, "scaleDown", "stabilizationWindowSeconds")
    down_window = DOWNSCALE_WINDOW if seconds is None else timedelta(seconds=int(seconds))
    up = min([desired, *_since(history.recommendations, now - up_window)])
    down = max([desired, *_since(history.recommendations, now - down_window)])
    steady = min(max(current, up), down)
    if steady == desired:
        return steady, _MATCHES
    return steady, _LOWER if desired >= current else _HIGHER


def _since(events: Sequence[Moment], moment: datetime) -> list[int]:
    return [e.replicas for e in events if e.at > moment]


def _by_rates(
    behavior: Obj, current: int, desired: int, bounds: Bounds, history: History, now: datetime
) -> tuple[int, tuple[str, str]]:
    if desired > current:
        limit = max(_limit(behavior["scaleUp"], current, history, now, up=True), current)
        high, reason = (bounds.high, _TOO_MANY) if bounds.high <= limit else (limit, _TOO_FAST)
        return (high, reason) if desired > high else (desired, _WITHIN)
    if desired < current:
        limit = min(_limit(behavior["scaleDown"], current, history, now, up=False), current)
        low, reason = (bounds.low, _TOO_FEW) if bounds.low >= limit else (limit, _DOWN_TOO_FAST)
        return (low, reason) if desired < low else (desired, _WITHIN)
    return desired, _WITHIN


def _limit(rules: Obj, current: int, history: History, now: datetime, *, up: bool) -> int:
    """How far the policies let go from here. Source: calculateScale{Up,Down}LimitWithRules."""
    select = rules.get("selectPolicy") or "Max"
    if select == "Disabled":
        return current
    proposals = []
    for policy in rules.get("policies") or []:
        since = now - timedelta(seconds=int(policy["periodSeconds"]))
        start = current - sum(_since(history.ups, since)) + sum(_since(history.downs, since))
        value = int(policy["value"])
        step = value if policy["type"] == "Pods" else start * value / 100
        proposals.append(math.ceil(start + step) if up else int(start - step))
    if not proposals:
        return current
    return max(proposals) if (select == "Max") == up else min(proposals)
