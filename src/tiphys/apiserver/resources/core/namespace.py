"""Namespace. Upstream: pkg/registry/core/namespace/strategy.go."""

from tiphys.api.field_errors import FieldError, invalid
from tiphys.api.meta import Obj, at
from tiphys.api.names import label_value, name_is_dns_label
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules.texts import kube_finalizer

_INFO = built_in("", "v1", "namespaces")
_FINALIZER = "kubernetes"


def default(namespace: Obj) -> None:
    metadata = namespace["metadata"]
    if metadata.get("name"):
        labels = metadata.get("labels") or {}
        metadata["labels"] = labels | {"kubernetes.io/metadata.name": metadata["name"]}
    namespace.setdefault("status", {}).setdefault("phase", "Active")


def before_create(namespace: Obj) -> None:
    if not label_value(namespace["metadata"].get("name", "")):
        default(namespace)  # A generated name is known only now; upstream labels what it accepted.
    namespace["status"] = {"phase": "Active"}
    finalizers = namespace.setdefault("spec", {}).get("finalizers") or []
    if _FINALIZER not in finalizers:
        namespace["spec"]["finalizers"] = [*finalizers, _FINALIZER]


def before_update(new: Obj, old: Obj) -> None:
    new["spec"]["finalizers"] = (old.get("spec") or {}).get("finalizers") or []
    generation.keep_status(new, old)


def validate(namespace: Obj) -> list[FieldError]:
    return [
        error
        for finalizer in namespace["spec"].get("finalizers") or ()
        for error in kube_finalizer(finalizer, "spec.finalizers")
    ]


def validate_finalizers(new: Obj, old: Obj) -> list[FieldError]:
    """Of the subresource `finalize`."""
    del old
    return [
        error
        for index, finalizer in enumerate(at(new, "spec", "finalizers", default=()))
        for error in kube_finalizer(finalizer, f"spec.finalizers[{index}]")
    ]


def validate_status(new: Obj, old: Obj) -> list[FieldError]:
    del old
    phase = at(new, "status", "phase", default="")
    ends = bool(new["metadata"].get("deletionTimestamp"))
    wanted, when = ("Terminating", "is not empty") if ends else ("Active", "is empty")
    if phase == wanted:
        return []
    text = f"may only be '{wanted}' if `deletionTimestamp` {when}"
    return [invalid("status.Phase", phase, text)]


NAMESPACE = Resource(
    _INFO,
    validate_status_update=validate_status,
    validate=validate,
    default=default,
    before_create=before_create,
    before_update=before_update,
    before_status_update=generation.status_updated,
    validate_name=name_is_dns_label,
    columns=columns_of(_INFO, cells.name, cells.value("status", "phase"), cells.age),
    selectable_fields={
        "status.phase": lambda n: str(at(n, "status", "phase", default="")),
    },
)
