"""Aggregated ClusterRoles: their rules are those of all roles that their selectors take.

Upstream: pkg/controller/clusterroleaggregation/clusterroleaggregation_controller.go.
Reads ClusterRole. Writes the rules of aggregated ClusterRoles.
"""

from collections.abc import Iterable

from tiphys.api import labels
from tiphys.api.errors import NotFound
from tiphys.api.meta import Obj, ObjectKey, at, labels_of, name_of
from tiphys.client.controller import Context, KeyedController
from tiphys.controllers.kinds import CLUSTER_ROLES


def aggregated_rules(role: Obj, roles: Iterable[Obj]) -> list[Obj]:
    """The rules that an aggregated role is to have: each once, by the names of their roles."""
    selectors = at(role, "aggregationRule", "clusterRoleSelectors", default=[])
    rules: list[Obj] = []
    for other in sorted(roles, key=name_of):
        if name_of(other) == name_of(role):
            continue
        if any(labels.matches_object(selector, labels_of(other)) for selector in selectors):
            rules += [rule for rule in other.get("rules") or () if rule not in rules]
    return rules


class ClusterRoleAggregationController(KeyedController):
    name = "clusterrole-aggregation-controller"

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._client = context.client_for("clusterrole-aggregation-controller")
        self._roles = context.informers.of(CLUSTER_ROLES)
        self._roles.on_change(self._changed)

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        """Any role may be part of any aggregate."""
        for role in self._roles.items():
            if role.get("aggregationRule"):
                self.enqueue(None, role)

    async def reconcile(self, key: ObjectKey) -> float | None:
        role = self._roles.get(key)
        if role is None or not role.get("aggregationRule"):
            return None
        rules = aggregated_rules(role, self._roles.items())
        if rules == (role.get("rules") or []):
            return None
        try:
            await self._client.update(CLUSTER_ROLES, role | {"rules": rules})
        except NotFound:
            return None
        return None
