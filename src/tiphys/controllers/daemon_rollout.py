"""A DaemonSet's rolling update: which old pods go and where new ones may come before. Pure.

Upstream: pkg/controller/daemon/update.go rollingUpdate.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from tiphys.api.meta import Obj, at, is_terminating, name_of
from tiphys.controllers import daemon_placement as placing
from tiphys.controllers import pods
from tiphys.controllers.rollout import scaled


class Limits(NamedTuple):
    surge: int
    unavailable: int


@dataclass(frozen=True, slots=True)
class Change:
    delete: tuple[Obj, ...] = ()
    create: tuple[str, ...] = ()  # node names


@dataclass(frozen=True, slots=True)
class _Pair:
    """A node's pods of both templates; None when a template has more than one."""

    new: Obj | None
    old: Obj | None


def limits(daemon_set: Obj, desired: int) -> Limits:
    """maxSurge and maxUnavailable as counts of nodes; both zero would never move."""
    rolling = at(daemon_set, "spec", "updateStrategy", "rollingUpdate", default={})
    surge = scaled(rolling.get("maxSurge", 0), desired, round_up=True)
    unavailable = scaled(rolling.get("maxUnavailable", 0), desired, round_up=True)
    return Limits(surge, unavailable if unavailable or surge else 1)


def step(
    daemon_set: Obj,
    nodes: Sequence[Obj],
    placed: placing.ByNode,
    revision_hash: str,
    now: datetime,
) -> Change:
    """What a sync of a RollingUpdate changes now."""
    wanted = [name_of(n) for n in nodes if placing.placement(daemon_set, n).should_run]
    everywhere = {**dict.fromkeys(wanted, ()), **placed}
    pairs = {n: _pair(daemon_set, there, revision_hash) for n, there in everywhere.items()}
    seconds = int(at(daemon_set, "spec", "minReadySeconds", default=0))
    ready = {
        id(p): pods.is_available(p, seconds, now)
        for pair in pairs.values()
        if pair is not None
        for p in (pair.new, pair.old)
        if p is not None
    }
    bounds = limits(daemon_set, len(wanted))
    if bounds.surge:
        return _surge(pairs, ready, bounds.surge, set(wanted))
    return _replace(pairs, ready, bounds.unavailable)


def _pair(daemon_set: Obj, there: Sequence[Obj], revision_hash: str) -> _Pair | None:
    alive = [p for p in there if not is_terminating(p)]
    new = [p for p in alive if placing.is_updated(daemon_set, p, revision_hash)]
    old = [p for p in alive if not placing.is_updated(daemon_set, p, revision_hash)]
    if len(new) > 1 or len(old) > 1:
        return None  # The plan of placement cleans up first.
    return _Pair(new[0] if new else None, old[0] if old else None)


def _replace(
    pairs: dict[str, _Pair | None], ready: dict[int, bool], unavailable_max: int
) -> Change:
    """Old pods go as many at a time as may be unavailable; those that are not anyway, at once."""
    unavailable = 0
    replace: list[Obj] = []
    candidates: list[Obj] = []
    for pair in pairs.values():
        if pair is None or (pair.new is None) == (pair.old is None):
            unavailable += 1
        elif pair.new is not None:
            unavailable += not ready[id(pair.new)]
        elif pair.old is not None and not ready[id(pair.old)]:
            replace.append(pair.old)
            unavailable += 1
        elif pair.old is not None:
            candidates.append(pair.old)
    left = max(unavailable_max - unavailable, 0)
    return Change(delete=(*replace, *candidates[:left]))


def _surge(
    pairs: dict[str, _Pair | None], ready: dict[int, bool], surge_max: int, wanted: set[str]
) -> Change:
    """New pods come before old ones go, on so many nodes at a time."""
    surging = 0
    delete: list[Obj] = []
    allowed: list[str] = []
    candidates: list[str] = []
    for node, pair in pairs.items():
        if pair is None:
            surging += 1
        elif pair.old is None:
            continue
        elif node not in wanted:
            delete.append(pair.old)
        elif pair.new is None:
            (candidates if ready[id(pair.old)] else allowed).append(node)
        elif not ready[id(pair.new)]:
            surging += 1
        else:
            delete.append(pair.old)
    left = max(surge_max - surging, 0)
    return Change(delete=tuple(delete), create=(*allowed, *candidates[:left]))
