"""Which Ingresses are ours. Pure. Source: ingress-nginx, with minikube's flags."""

from collections.abc import Iterable
from typing import Final

from tiphys.api.meta import Obj, annotations_of, at, name_of

CONTROLLER: Final = "k8s.io/ingress-nginx"
CLASS: Final = "nginx"
CLASS_ANNOTATION: Final = "kubernetes.io/ingress.class"


def our_classes(classes: Iterable[Obj]) -> frozenset[str]:
    return frozenset(name_of(c) for c in classes if at(c, "spec", "controller") == CONTROLLER)


def is_ours(ingress: Obj, classes: frozenset[str]) -> bool:
    """By its class, by the annotation of before, or because it names neither.

    minikube's controller runs with --watch-ingress-without-class.
    """
    noted = annotations_of(ingress).get(CLASS_ANNOTATION)
    if noted:
        return noted == CLASS
    named = at(ingress, "spec", "ingressClassName")
    return named is None or named in classes
