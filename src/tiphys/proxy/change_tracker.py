"""Which frontends changed: plans only the Services that something happened to.

Nothing here remembers events, only which Services to look at again; a plan is always made from
the objects as they are.
Upstream: pkg/proxy servicechangetracker.go, endpointschangetracker.go.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import Protocol

from tiphys.api.meta import Obj, ObjectKey, key_of
from tiphys.proxy.plan import (
    Backend,
    Frontend,
    HealthCheck,
    NodeView,
    Plan,
    plan_service,
    service_of,
)

log = logging.getLogger(__name__)

FrontendChanges = Mapping[Frontend, Backend | None]
"""The frontends that differ from before; None for those that are gone."""


class Services(Protocol):
    """An informer of Services, as far as it is read."""

    def get(self, key: ObjectKey) -> Obj | None: ...


class ChangeTracker:
    """Told of every object that changes; `take` then says what is different by now."""

    def __init__(self, node: NodeView) -> None:
        self._node = node
        self._slices: dict[ObjectKey, dict[ObjectKey, Obj]] = {}
        self._dirty: set[ObjectKey] = set()
        self._plans: dict[ObjectKey, Plan] = {}
        # Of several Services that claim a frontend the first by name has it.
        self._claims: dict[Frontend, list[ObjectKey]] = {}

    def service_changed(self, old: Obj | None, new: Obj | None) -> None:
        self._dirty.update(key_of(o) for o in (old, new) if o is not None)

    def slice_changed(self, old: Obj | None, new: Obj | None) -> None:
        if old is not None:
            self._slices.get(service_of(old), {}).pop(key_of(old), None)
            self._dirty.add(service_of(old))
        if new is not None:
            self._slices.setdefault(service_of(new), {})[key_of(new)] = new
            self._dirty.add(service_of(new))

    def take(self, services: Services) -> FrontendChanges:
        """What differs since the last call."""
        touched: dict[Frontend, Backend | None] = {}
        for key in self._dirty:
            for frontend in self._plan_again(key, services.get(key)):
                touched[frontend] = None
        self._dirty.clear()
        return {frontend: self._backend(frontend) for frontend in touched}

    def frontends(self) -> dict[Frontend, Backend]:
        """All of them."""
        plans = self._plans
        return {f: plans[claims[0]].frontends[f] for f, claims in self._claims.items()}

    def health_checks(self) -> list[HealthCheck]:
        return [check for plan in self._plans.values() for check in plan.health_checks]

    def _plan_again(self, key: ObjectKey, service: Obj | None) -> Iterable[Frontend]:
        """Make one Service's plan anew; its frontends that may differ."""
        old = self._plans.pop(key, Plan())
        new = Plan()
        if not self._slices.get(key):
            self._slices.pop(key, None)
        if service is not None:
            new = self._planned(key, service, old)
            self._plans[key] = new
        before, after = old.frontends, new.frontends
        gone = [frontend for frontend in before if frontend not in after]
        for frontend in gone:
            self._unclaim(frontend, key)
        for frontend in after:
            if frontend not in before:
                self._claim(frontend, key)
        return [*gone, *[f for f, backend in after.items() if before.get(f) != backend]]

    def _planned(self, key: ObjectKey, service: Obj, old: Plan) -> Plan:
        try:
            return plan_service(service, list(self._slices.get(key, {}).values()), self._node)
        except (KeyError, TypeError, ValueError):
            # One odd object must not take every Service away: its last good plan stays.
            log.exception("no plan for a Service", extra={"service": str(key)})
            return old

    def _claim(self, frontend: Frontend, key: ObjectKey) -> None:
        claims = self._claims.setdefault(frontend, [])
        claims.append(key)
        if len(claims) > 1:
            claims.sort()

    def _unclaim(self, frontend: Frontend, key: ObjectKey) -> None:
        claims = self._claims[frontend]
        claims.remove(key)
        if not claims:
            del self._claims[frontend]

    def _backend(self, frontend: Frontend) -> Backend | None:
        claims = self._claims.get(frontend)
        return self._plans[claims[0]].frontends[frontend] if claims else None
