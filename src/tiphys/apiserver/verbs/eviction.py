"""Eviction: delete a pod if its disruption budgets allow.

Upstream: pkg/registry/core/pod/storage/eviction.go.
"""

from dataclasses import replace
from typing import Final

from tiphys.api import labels
from tiphys.api.errors import (
    BadRequest,
    Forbidden,
    InternalError,
    StatusCause,
    TooManyRequests,
    not_found,
)
from tiphys.api.meta import GroupVersionKind, Obj, at, condition, labels_of, rfc3339
from tiphys.apiserver.bodies import read_object
from tiphys.apiserver.context import RequestContext
from tiphys.apiserver.deletion import (
    DeleteOptions,
    check_delete_preconditions,
    parse_delete_options,
)
from tiphys.apiserver.endpoint import Endpoint
from tiphys.apiserver.pod_conditions import with_condition
from tiphys.apiserver.responses import document_answer
from tiphys.apiserver.verbs.binding import SUCCESS
from tiphys.apiserver.verbs.delete import delete_object
from tiphys.apiserver.writes import admit, guaranteed_update
from tiphys.lib.http.message import Answer
from tiphys.storage.cached_object import CachedObject

KIND: Final = GroupVersionKind("policy", "v1", "Eviction")
DISRUPTED_PODS_MAX: Final = 2000  # Upstream MaxDisruptedPodSize.
_ALLOWED: Final = "DisruptionAllowed"
_FREE_PHASES: Final = frozenset({"Succeeded", "Failed", "Pending"})


async def create_eviction(ctx: RequestContext) -> Answer:
    """Raises NotFound, TooManyRequests, BadRequest."""
    ctx.media()
    eviction = read_object(ctx, KIND)
    if eviction["metadata"].get("name", "") != ctx.name:
        raise BadRequest("name in URL does not match name in Eviction object")
    admit(ctx, "CREATE", eviction)
    options = parse_delete_options(eviction.get("deleteOptions") or {})
    options = replace(options, is_dry_run=options.is_dry_run or ctx.is_dry_run)
    pods = ctx.server.endpoint_of("", "pods")
    cached = pods.cache.get(pods.key(ctx.namespace, ctx.name))
    if cached is None:
        raise not_found("", "pods", ctx.name)
    pod = pods.decode(cached)
    if not _may_go_at_once(pod):
        await _spend_budget(ctx, pod, dry_run=options.is_dry_run)
    if not options.is_dry_run:
        cached = await _note_eviction(ctx, pods, cached.key, options)
        if options.resource_version:
            options = replace(options, resource_version=str(cached.revision))
    await delete_object(ctx, pods, cached, options)
    return document_answer(ctx, 201, SUCCESS)


_DISRUPTED: Final[Obj] = {
    "type": "DisruptionTarget",
    "status": "True",
    "reason": "EvictionByEvictionAPI",
    "message": "Eviction API: evicting",
}


async def _note_eviction(
    ctx: RequestContext, pods: Endpoint, key: str, options: DeleteOptions
) -> CachedObject:
    """Who looks at the pod sees why it goes. Raises NotFound, Conflict."""
    now = rfc3339(ctx.server.clock.now())

    def change(pod: Obj) -> Obj:
        check_delete_preconditions(pods.info, pod, options)
        return pod | {"status": with_condition(pod, _DISRUPTED, now)}

    return await guaranteed_update(ctx, pods, key, change)


def _may_go_at_once(pod: Obj) -> bool:
    return at(pod, "status", "phase") in _FREE_PHASES or "deletionTimestamp" in pod["metadata"]


def _is_ready(pod: Obj) -> bool:
    return (condition(pod, "Ready") or {}).get("status") == "True"


async def _spend_budget(ctx: RequestContext, pod: Obj, *, dry_run: bool) -> None:
    budgets = ctx.server.endpoint_of("policy", "poddisruptionbudgets")
    matching = []
    for cached in budgets.cache.range(budgets.collection(ctx.namespace)):
        budget = budgets.decode(cached)
        if labels.matches_object(at(budget, "spec", "selector"), labels_of(pod)):
            matching.append((cached.key, budget))
    if not matching:
        return
    if len(matching) > 1:
        raise InternalError(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does"
            " not support.",
            code=500,
            reason="",
        )
    key, budget = matching[0]
    if not _is_ready(pod) and _lets_unready_go(budget):
        return
    name, now = pod["metadata"]["name"], rfc3339(ctx.server.clock.now())

    def change(fresh: Obj) -> Obj:
        return _spent(fresh, name, now)

    if dry_run:
        change(budget)
    else:
        await guaranteed_update(ctx, budgets, key, change)


def _lets_unready_go(budget: Obj) -> bool:
    """AlwaysAllow does; otherwise only while the budget is met without the pod."""
    if at(budget, "spec", "unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    healthy = at(budget, "status", "currentHealthy", default=0)
    desired = at(budget, "status", "desiredHealthy", default=0)
    return bool(healthy >= desired > 0)


def _spent(budget: Obj, pod_name: str, now: str) -> Obj:
    """The budget with one disruption less. Raises TooManyRequests."""
    status = dict(budget.get("status") or {})
    text = "Cannot evict pod as it would violate the pod's disruption budget."
    if status.get("observedGeneration", 0) < at(budget, "metadata", "generation", default=0):
        raise _too_many(
            text,
            f"The disruption budget {_name(budget)} is still being processed by the server.",
            10,
        )
    disrupted = dict(status.get("disruptedPods") or {})
    if status.get("disruptionsAllowed", 0) < 0:
        raise _not_permitted(budget, "pdb disruptions allowed is negative")
    if len(disrupted) > DISRUPTED_PODS_MAX:
        why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise _not_permitted(budget, why)
    if not status.get("disruptionsAllowed", 0):
        raise _too_many(text, _why_none(budget), 0)
    status["disruptionsAllowed"] -= 1
    status["disruptedPods"] = disrupted | {pod_name: now}
    spent = budget | {"status": status}
    if not status["disruptionsAllowed"]:
        status["conditions"] = _with_insufficient(spent, now)
    return spent


def _why_none(budget: Obj) -> str:
    """Why a budget allows no disruption now."""
    start = f"The disruption budget {_name(budget)}"
    status, found = budget.get("status") or {}, condition(budget, _ALLOWED) or {}
    desired, healthy = status.get("desiredHealthy", 0), status.get("currentHealthy", 0)
    message = found.get("message", "") if found.get("status") == "False" else ""
    reason = found.get("reason", "")
    none = f"{start} does not allow evicting pods currently"
    if message and reason == "SyncFailed":
        return f"{none} because it failed sync: {message}"
    if healthy <= desired:
        return f"{start} needs {desired} healthy pods and has {healthy} currently"
    return f"{none} ({reason}): {message}" if message else none


def _with_insufficient(budget: Obj, now: str) -> list[Obj]:
    """The budget's conditions when nothing is left of it."""
    before = condition(budget, _ALLOWED)
    made: Obj = {"type": _ALLOWED, "status": "False", "reason": "InsufficientPods", "message": ""}
    generation = at(budget, "status", "observedGeneration", default=0)
    made |= {"observedGeneration": generation} if generation else {}
    same = before is not None and before.get("status") == "False"
    made["lastTransitionTime"] = before.get("lastTransitionTime") if before and same else now
    found: list[Obj] = at(budget, "status", "conditions", default=[])
    if before is None:
        return [*found, made]
    return [made if c is before else c for c in found]


def _not_permitted(budget: Obj, why: str) -> Forbidden:
    name = _name(budget)
    return Forbidden(
        f'poddisruptionbudget.policy "{name}" is forbidden: {why}',
        details={"name": name, "group": "policy", "kind": "poddisruptionbudget"},
    )


def _name(budget: Obj) -> str:
    return str(budget["metadata"]["name"])


def _too_many(text: str, why: str, seconds: int) -> TooManyRequests:
    return TooManyRequests(
        text, causes=[StatusCause("DisruptionBudget", why)], retry_after_seconds=seconds
    )
