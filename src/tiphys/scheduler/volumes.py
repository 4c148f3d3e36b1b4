"""What the scheduler knows of the claims that a pod uses, gathered before it decides.

Upstream: pkg/scheduler/framework/plugins/volumebinding/binder.go.
"""

from collections.abc import Callable, Iterator
from typing import Final

from tiphys.api import volume_matching as matching
from tiphys.api.meta import GroupVersionResource, Obj, ObjectKey, at, name_of, namespace_of
from tiphys.client.informer import Informer
from tiphys.client.rest import Client
from tiphys.scheduler.framework import ClaimFacts

CLAIMS: Final = GroupVersionResource("", "v1", "persistentvolumeclaims")
VOLUMES: Final = GroupVersionResource("", "v1", "persistentvolumes")
CLASSES: Final = GroupVersionResource("storage.k8s.io", "v1", "storageclasses")


def claim_names(pod: Obj) -> Iterator[str]:
    for volume in at(pod, "spec", "volumes", default=[]):
        if name := at(volume, "persistentVolumeClaim", "claimName"):
            yield str(name)
        elif "ephemeral" in volume:
            yield f"{name_of(pod)}-{volume['name']}"


class Volumes:
    """Live copies of claims, volumes and classes; `changed(kind)` tells what may help a pod."""

    def __init__(self, client: Client, changed: Callable[[str], None]) -> None:
        self._claims = Informer(client, CLAIMS)
        self._volumes = Informer(client, VOLUMES)
        self._classes = Informer(client, CLASSES)
        for informer in self.informers:
            kind = informer.gvr.resource
            informer.on_change(lambda old, new, kind=kind: changed(kind))  # type: ignore[misc]

    @property
    def informers(self) -> tuple[Informer, ...]:
        return (self._claims, self._volumes, self._classes)

    def facts(self, pod: Obj) -> tuple[ClaimFacts, ...]:
        """In the order of the pod's volumes."""
        return tuple(self._facts(namespace_of(pod), name) for name in claim_names(pod))

    def _facts(self, namespace: str, name: str) -> ClaimFacts:
        claim = self._claims.get(ObjectKey(namespace, name))
        if claim is None:
            return ClaimFacts(name)
        class_name = matching.class_of(claim)
        storage_class = self._classes.get(ObjectKey("", class_name)) if class_name else None
        bound = at(claim, "spec", "volumeName", default="")
        if bound:
            volume = self._volumes.get(ObjectKey("", bound))
            return ClaimFacts(name, claim, volume, storage_class)
        waits = matching.waits_for_consumer(storage_class)
        free = tuple(self._volumes.items()) if waits else ()
        return ClaimFacts(name, claim, None, storage_class, free)
