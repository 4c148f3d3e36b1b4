"""What a status of workloads, budgets and balancers may say; only controllers write it.

Upstream: Validate*Status of pkg/apis/{apps,core,policy,networking}/validation.
"""

import ipaddress
from collections.abc import Callable
from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, forbidden, invalid, not_supported
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.rules import workload
from tiphys.apiserver.resources.rules.addresses import legacy_address
from tiphys.apiserver.resources.rules.conditions import conditions
from tiphys.apiserver.resources.rules.texts import each

_NOT_MORE: Final = "cannot be greater than status.replicas"
_READY: Final = "readyReplicas"
_AVAILABLE: Final = "availableReplicas"

_COLLISIONS: Final = "collisionCount"
StatusRule = Callable[[Obj, Obj], list[FieldError]]


def counts(*fields: str) -> StatusRule:
    """Numbers that must not be negative."""

    def check(new: Obj, old: Obj) -> list[FieldError]:
        errors = workload.not_negative_at(new.get("status") or {}, "status", *fields)
        return errors + (_fewer_collisions(new, old) if _COLLISIONS in fields else [])

    return check


def _fewer_collisions(new: Obj, old: Obj) -> list[FieldError]:
    before = (old.get("status") or {}).get(_COLLISIONS)
    now = (new.get("status") or {}).get(_COLLISIONS)
    if before is None or (now is not None and now >= before):
        return []
    return [invalid(f"status.{_COLLISIONS}", now or 0, "cannot be decremented")]


def replicas(*fields: str, parts: tuple[str, ...], ready_name: str = _READY) -> StatusRule:
    """Counts, of which `parts` count some of the replicas; none is available and not ready."""

    def check(new: Obj, old: Obj) -> list[FieldError]:
        status = new.get("status") or {}
        errors = workload.not_negative_at(status, "status", *fields)
        every, ready = status.get("replicas", 0), status.get(_READY, 0)
        errors += [
            invalid(f"status.{part}", status.get(part, 0), _NOT_MORE)
            for part in parts
            if status.get(part, 0) > every
        ]
        available = status.get(_AVAILABLE, 0)
        if _AVAILABLE in parts and available > ready:
            text = f"cannot be greater than {ready_name}"
            errors.append(invalid(f"status.{_AVAILABLE}", available, text))
        return errors + (_fewer_collisions(new, old) if _COLLISIONS in fields else [])

    return check


DEPLOYMENT: Final = replicas(
    "observedGeneration", "replicas", "updatedReplicas", _READY, _AVAILABLE, "unavailableReplicas",
    "terminatingReplicas", "collisionCount",
    parts=("updatedReplicas", _READY, _AVAILABLE),
)  # fmt: skip
REPLICA_SET: Final = replicas(
    "replicas", "fullyLabeledReplicas", _READY, _AVAILABLE, "observedGeneration",
    "terminatingReplicas",
    parts=("fullyLabeledReplicas", _READY, _AVAILABLE),
)  # fmt: skip
STATEFUL_SET: Final = replicas(
    "replicas", _READY, "currentReplicas", "updatedReplicas", _AVAILABLE, "observedGeneration",
    "collisionCount",
    parts=(_READY, "currentReplicas", "updatedReplicas", _AVAILABLE),
    ready_name=f"status.{_READY}",
)  # fmt: skip
DAEMON_SET: Final = counts(
    "currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady",
    "observedGeneration", "updatedNumberScheduled", "numberAvailable", "numberUnavailable",
    "collisionCount",
)  # fmt: skip
AUTOSCALER: Final = counts("currentReplicas", "desiredReplicas")
_BUDGET_COUNTS: Final = counts(
    "disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"
)


def disruption_budget(new: Obj, old: Obj) -> list[FieldError]:
    found = (new.get("status") or {}).get("conditions") or ()
    return conditions(found, "status.conditions") + _BUDGET_COUNTS(new, old)


def service(new: Obj, old: Obj) -> list[FieldError]:
    """Only a LoadBalancer has addresses of a balancer."""
    path = "status.loadBalancer.ingress"
    ingress = _ingress(new)
    if ingress and new["spec"].get("type") != "LoadBalancer":
        return [forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'")]
    errors: list[FieldError] = []
    for index, point in enumerate(ingress):
        where = f"{path}[{index}]"
        errors += _address(point, where)
        mode = point.get("ipMode")
        if mode is not None and not point.get("ip"):
            text = "may not be specified when `ip` is not set"
            errors.append(forbidden(f"{where}.ipMode", text))
        elif mode is not None and mode not in {"VIP", "Proxy"}:
            errors.append(not_supported(f"{where}.ipMode", mode, ("Proxy", "VIP")))
        errors += _host_name(point, where)
    return errors


def ingress(new: Obj, old: Obj) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, point in enumerate(_ingress(new)):
        where = f"status.loadBalancer.ingress[{index}]"
        errors += _address(point, where) + _host_name(point, where)
    return errors


def _ingress(obj: Obj) -> list[Obj]:
    return list(((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ())


def _address(point: Obj, path: str) -> list[FieldError]:
    return legacy_address(point["ip"], f"{path}.ip") if point.get("ip") else []


def _host_name(point: Obj, path: str) -> list[FieldError]:
    name = point.get("hostname")
    if not name:
        return []
    errors = each(f"{path}.hostname", name, names.dns_subdomain(name))
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return errors
    text = "must be a DNS name, not an IP address"
    return [*errors, invalid(f"{path}.hostname", name, text)]
