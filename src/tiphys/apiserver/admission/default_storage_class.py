"""DefaultStorageClass: a claim that names no class gets the default one.

Upstream: plugin/pkg/admission/storage/storageclass/setdefault/admission.go.
"""

from tiphys.api.meta import Obj
from tiphys.api.volume_matching import default_class, names_class
from tiphys.apiserver.admission.chain import Resources, Write
from tiphys.storage.watch_cache import WatchCache


class DefaultStorageClass:
    name = "DefaultStorageClass"
    resources: Resources = frozenset({("", "persistentvolumeclaims")})

    def __init__(self, classes: WatchCache) -> None:
        self._classes = classes

    def mutate(self, write: Write) -> None:
        claim = write.obj
        if claim is None or write.operation != "CREATE":
            return
        if not write.is_("", "persistentvolumeclaims"):
            return
        spec = claim.setdefault("spec", {})
        if names_class(claim):
            return
        if (found := self._default()) is not None:
            spec["storageClassName"] = found["metadata"]["name"]

    def _default(self) -> Obj | None:
        return default_class(c.decode(self._classes.head) for c in self._classes.objects.values())
