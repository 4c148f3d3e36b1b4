"""DefaultStorageClass: a claim that names no class gets the default one.

Upstream: plugin/pkg/admission/storage/storageclass/setdefault/admission.go.
"""

from typing import Final

from tiphys.api.meta import Obj, annotations_of
from tiphys.apiserver.admission.chain import Write
from tiphys.storage.watch_cache import WatchCache

MARK: Final = "storageclass.kubernetes.io/is-default-class"
BETA_CLASS: Final = "volume.beta.kubernetes.io/storage-class"


class DefaultStorageClass:
    name = "DefaultStorageClass"

    def __init__(self, classes: WatchCache) -> None:
        self._classes = classes

    def mutate(self, write: Write) -> None:
        claim = write.obj
        if claim is None or write.operation != "CREATE":
            return
        if not write.is_("", "persistentvolumeclaims"):
            return
        spec = claim.setdefault("spec", {})
        if "storageClassName" in spec or BETA_CLASS in annotations_of(claim):
            return
        if (found := self._default()) is not None:
            spec["storageClassName"] = found["metadata"]["name"]

    def _default(self) -> Obj | None:
        """The newest of the classes that are marked as default."""
        classes = (c.decode(self._classes.head) for c in self._classes.objects.values())
        marked = [c for c in classes if annotations_of(c).get(MARK) == "true"]
        marked.sort(key=lambda c: str(c["metadata"]["name"]))
        return max(marked, key=lambda c: str(c["metadata"]["creationTimestamp"]), default=None)

    def validate(self, write: Write) -> None:
        """Nothing to refuse."""
