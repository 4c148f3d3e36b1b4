"""DefaultIngressClass: an Ingress that names no class gets the default one.

Upstream: plugin/pkg/admission/network/defaultingressclass/admission.go.
"""

from typing import Final

from tiphys.api.meta import Obj, annotations_of, metadata, name_of
from tiphys.apiserver.admission.chain import Resources, Write
from tiphys.storage.watch_cache import WatchCache

DEFAULT_ANNOTATION: Final = "ingressclass.kubernetes.io/is-default-class"
CLASS_ANNOTATION: Final = "kubernetes.io/ingress.class"


class DefaultIngressClass:
    name = "DefaultIngressClass"
    resources: Resources = frozenset({("networking.k8s.io", "ingresses")})

    def __init__(self, classes: WatchCache) -> None:
        self._classes = classes

    def mutate(self, write: Write) -> None:
        ingress = write.obj
        if ingress is None or write.operation != "CREATE":
            return
        if not write.is_("networking.k8s.io", "ingresses"):
            return
        spec = ingress.setdefault("spec", {})
        if spec.get("ingressClassName") is not None or CLASS_ANNOTATION in annotations_of(ingress):
            return
        found = default_class(
            [c.decode(self._classes.head) for c in self._classes.objects.values()]
        )
        if found is not None:
            spec["ingressClassName"] = name_of(found)


def default_class(classes: list[Obj]) -> Obj | None:
    """Of several default ones the newest, of equally new ones the first by name."""
    marked = [c for c in classes if annotations_of(c).get(DEFAULT_ANNOTATION) == "true"]
    marked.sort(key=name_of)
    marked.sort(key=lambda c: str(metadata(c).get("creationTimestamp", "")), reverse=True)
    return marked[0] if marked else None
