"""PersistentVolumeClaimResize: a claim grows only when it is bound and its class lets it.

Upstream: plugin/pkg/admission/storage/persistentvolume/resize/admission.go.
"""

from tiphys.api import quantity
from tiphys.api.meta import Obj, at
from tiphys.api.quantity import Quantity
from tiphys.api.volume_matching import class_of
from tiphys.apiserver.admission.chain import Resources, Write
from tiphys.apiserver.admission.refusal import refuse
from tiphys.storage.watch_cache import WatchCache


class PersistentVolumeClaimResize:
    name = "PersistentVolumeClaimResize"
    resources: Resources = frozenset({("", "persistentvolumeclaims")})

    def __init__(self, classes: WatchCache) -> None:
        self._classes = classes

    def validate(self, write: Write) -> None:
        new, old = write.obj, write.old
        if write.operation != "UPDATE" or new is None or old is None:
            return
        if not write.is_("", "persistentvolumeclaims") or _size(new) <= _size(old):
            return
        if at(old, "status", "phase") != "Bound":
            raise refuse(write, "Only bound persistent volume claims can be expanded")
        if class_of(new) != class_of(old) or not self._lets_grow(class_of(new)):
            text = "only dynamically provisioned pvc can be resized and the storageclass that "
            raise refuse(write, f"{text}provisions the pvc must support resize")

    def _lets_grow(self, name: str) -> bool:
        found = self._classes.get(self._classes.prefix + name) if name else None
        if found is None:
            return False
        return at(found.decode(self._classes.head), "allowVolumeExpansion") is True


def _size(claim: Obj) -> Quantity:
    return quantity.of(at(claim, "spec", "resources", "requests", "storage", default="0"))
