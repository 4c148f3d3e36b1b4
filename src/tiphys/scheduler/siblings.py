"""Which pods belong together with a pod: those of its Services and of its owner.

They are spread by default. Upstream: pkg/scheduler/framework/plugins/helper/spread.go.
"""

from collections.abc import Sequence
from typing import Final

from tiphys.api.labels import EVERYTHING, NOTHING, Selector, from_object, from_set
from tiphys.api.meta import (
    GroupVersionResource,
    Obj,
    ObjectKey,
    at,
    controller_of,
    labels_of,
    namespace_of,
)
from tiphys.client.informer import Informer
from tiphys.client.rest import Client

SERVICES: Final = GroupVersionResource("", "v1", "services")
OWNERS: Final = {
    "ReplicationController": GroupVersionResource("", "v1", "replicationcontrollers"),
    "ReplicaSet": GroupVersionResource("apps", "v1", "replicasets"),
    "StatefulSet": GroupVersionResource("apps", "v1", "statefulsets"),
}


def siblings(pod: Obj, services: Sequence[Obj], owner: Obj | None) -> Selector:
    """What all of them select by, together; EVERYTHING where nobody does."""
    labels = labels_of(pod)
    found = [
        selector
        for service in services
        if namespace_of(service) == namespace_of(pod)
        and (given := at(service, "spec", "selector"))
        and (selector := from_set(given)).matches(labels)
    ]
    if owner is not None:
        given = at(owner, "spec", "selector")
        is_set = owner.get("kind") == "ReplicationController"
        found.append(from_set(given) if is_set else from_object(given))
    if not found or NOTHING in found:
        return EVERYTHING
    return Selector(tuple(dict.fromkeys(r for s in found for r in s.requirements)))


class Siblings:
    """Live copies of Services and owners."""

    def __init__(self, client: Client) -> None:
        self._services = Informer(client, SERVICES)
        self._owners = {kind: Informer(client, gvr) for kind, gvr in OWNERS.items()}

    @property
    def informers(self) -> tuple[Informer, ...]:
        return (self._services, *self._owners.values())

    def of(self, pod: Obj) -> Selector:
        """EVERYTHING for a pod that says itself how it is to be spread."""
        if at(pod, "spec", "topologySpreadConstraints"):
            return EVERYTHING
        reference = controller_of(pod) or {}
        informer = self._owners.get(reference.get("kind", ""))
        owner = None
        if informer is not None:
            owner = informer.get(ObjectKey(namespace_of(pod), reference["name"]))
            owner = owner and {**owner, "kind": reference["kind"]}
        return siblings(pod, self._services.items(), owner)
