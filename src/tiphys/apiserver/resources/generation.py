"""Kinds that count the generations of their spec.

Upstream: PrepareForCreate and PrepareForUpdate of pkg/registry/*/strategy.go.
"""

from collections.abc import Callable
from typing import Final

from tiphys.api.meta import Obj


def start(obj: Obj) -> None:
    obj["metadata"]["generation"] = 1


def bump(new: Obj, old: Obj, *, also: bool = False) -> None:
    """One more generation when the spec differs, or when `also` says so."""
    generation = old["metadata"].get("generation", 0)
    if also or new.get("spec") != old.get("spec"):
        generation += 1
    if generation:
        new["metadata"]["generation"] = generation


def keep_status(new: Obj, old: Obj) -> None:
    """An update of the object does not touch its status."""
    if "status" in old:
        new["status"] = old["status"]
    else:
        new.pop("status", None)


def keep_spec(new: Obj, old: Obj) -> None:
    """An update of the status touches nothing but the status, and labels where upstream lets it."""
    if "spec" in old:
        new["spec"] = old["spec"]
    else:
        new.pop("spec", None)


def created(empty_status: Obj | None) -> Callable[[Obj], None]:
    """before_create: no status from clients, generation 1."""

    def before_create(obj: Obj) -> None:
        if empty_status is None:
            obj.pop("status", None)
        else:
            obj["status"] = _copied(empty_status)
        start(obj)

    return before_create


def _copied(value: Obj) -> Obj:
    return {k: _copied(v) if isinstance(v, dict) else v for k, v in value.items()}


def updated(new: Obj, old: Obj) -> None:
    """before_update: the status stays, a changed spec is a new generation."""
    keep_status(new, old)
    bump(new, old)


def updated_with_annotations(new: Obj, old: Obj) -> None:
    """before_update of kinds whose annotations count too."""
    keep_status(new, old)
    changed = (new["metadata"].get("annotations") or {}) != (
        old["metadata"].get("annotations") or {}
    )
    bump(new, old, also=changed)


def status_updated(new: Obj, old: Obj) -> None:
    """before_status_update: the spec stays."""
    keep_spec(new, old)


_WRITABLE: Final = ("labels", "annotations", "finalizers", "ownerReferences")


def keep_metadata(new: Obj, old: Obj, *fields: str) -> None:
    """What of the metadata an update of the status does not touch."""
    for field in fields:
        if field in old["metadata"]:
            new["metadata"][field] = old["metadata"][field]
        else:
            new["metadata"].pop(field, None)


def status_updated_with_labels(new: Obj, old: Obj) -> None:
    """before_status_update of kinds that keep their labels as well."""
    keep_spec(new, old)
    keep_metadata(new, old, "labels")


def status_alone_updated(new: Obj, old: Obj) -> None:
    """before_status_update of kinds that keep their metadata. Source: ResetObjectMetaForStatus."""
    keep_spec(new, old)
    keep_metadata(new, old, *_WRITABLE)
