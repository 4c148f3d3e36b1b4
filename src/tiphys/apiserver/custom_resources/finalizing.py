"""A definition that is deleted takes its objects along before it goes. Pure.

Upstream: apiextensions-apiserver pkg/controller/finalizer/crd_finalizer.go,
pkg/registry/customresourcedefinition/etcd.go (Delete).
"""

from datetime import datetime
from typing import Final

from tiphys.api.meta import Obj, rfc3339
from tiphys.apiserver.custom_resources.naming import make_condition, with_condition

FINALIZER: Final = "customresourcecleanup.apiextensions.k8s.io"
_PENDING: Final = make_condition(
    "Terminating",
    "True",
    "InstanceDeletionPending",
    "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
)
_RUNNING: Final = make_condition(
    "Terminating",
    "True",
    "InstanceDeletionInProgress",
    "CustomResource deletion is in progress",
)
_DONE: Final = make_condition(
    "Terminating", "False", "InstanceDeletionCompleted", "removed all instances"
)


def marked(definition: Obj, now: datetime) -> Obj | None:
    """What the first delete writes; None for a definition that is on its way out already."""
    metadata = dict(definition["metadata"])
    if metadata.get("deletionTimestamp"):
        return None
    finalizers = metadata.get("finalizers") or []
    if FINALIZER not in finalizers:
        metadata["finalizers"] = [*finalizers, FINALIZER]
    metadata["deletionTimestamp"] = rfc3339(now)
    return _with(definition | {"metadata": metadata}, _PENDING, now)


def is_terminating(definition: Obj) -> bool:
    return bool(definition["metadata"].get("deletionTimestamp"))


def waits_for_objects(definition: Obj) -> bool:
    return is_terminating(definition) and FINALIZER in (
        definition["metadata"].get("finalizers") or ()
    )


def running(definition: Obj, now: datetime) -> Obj:
    """While objects are left."""
    return _with(definition, _RUNNING, now)


def finished(definition: Obj, now: datetime) -> Obj:
    """Once no object is left: without our finalizer."""
    metadata = dict(definition["metadata"])
    metadata["finalizers"] = [f for f in metadata.get("finalizers") or () if f != FINALIZER]
    if not metadata["finalizers"]:
        del metadata["finalizers"]
    return _with(definition | {"metadata": metadata}, _DONE, now)


def _with(definition: Obj, condition: Obj, now: datetime) -> Obj:
    status = dict(definition.get("status") or {})
    status["conditions"] = with_condition(list(status.get("conditions") or []), condition, now)
    return definition | {"status": status}
