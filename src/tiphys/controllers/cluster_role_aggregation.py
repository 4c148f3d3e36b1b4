"""Aggregated ClusterRoles: their rules are those of all roles that their selectors take.

Upstream: pkg/controller/clusterroleaggregation/clusterroleaggregation_controller.go.
Reads ClusterRole. Writes the rules of aggregated ClusterRoles.
"""

from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from tiphys.api import labels
from tiphys.api.errors import NotFound
from tiphys.api.meta import Obj, ObjectKey, at, is_terminating, labels_of, name_of
from tiphys.client.controller import Context, KeyedController
from tiphys.controllers.kinds import CLUSTER_ROLES

ALL: Final = ObjectKey("", "*")  # The only key: all roles together.


def aggregated_rules(role: Obj, roles: Iterable[Obj]) -> list[Obj]:
    """The rules that an aggregated role is to have: each once, by the names of their roles."""
    said = at(role, "aggregationRule", "clusterRoleSelectors", default=[])
    selectors = [labels.from_object(selector) for selector in said]
    rules: list[Obj] = []
    for other in sorted(roles, key=name_of):
        if name_of(other) == name_of(role):
            continue
        if any(selector.matches(labels_of(other)) for selector in selectors):
            rules += [rule for rule in other.get("rules") or () if rule not in rules]
    return rules


class ClusterRoleAggregationController(KeyedController):
    """Only metadata is kept: roles are long, change seldom and are read when one has changed."""

    name = "clusterrole-aggregation-controller"
    workers = 1

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._client = context.client_for("clusterrole-aggregation-controller")
        roles = context.informers.of(CLUSTER_ROLES, metadata_only=True)
        roles.on_change(lambda old, new: self.queue.add(ALL))

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Any role may be part of any aggregate: all are looked at."""
        listed = await self._client.list(CLUSTER_ROLES)
        roles = [role for role in listed["items"] if not is_terminating(role)]
        for role in roles:
            if not role.get("aggregationRule"):
                continue
            rules = aggregated_rules(role, roles)
            if rules != (role.get("rules") or []):
                with suppress(NotFound):
                    await self._client.update(CLUSTER_ROLES, role | {"rules": rules})
        return None
