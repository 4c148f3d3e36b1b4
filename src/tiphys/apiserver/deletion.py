"""What a delete does to an object: remove it, or mark it and wait. Pure.

Upstream: apiserver pkg/registry/rest/delete.go (BeforeDelete), generic/registry/store.go
(deletionFinalizersForGarbageCollection), pkg/registry/core/pod/strategy.go (CheckGracefulDelete).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from tiphys.api.errors import conflict
from tiphys.api.field_errors import FieldError, invalid, invalid_object, not_supported
from tiphys.api.meta import Obj, at, is_core, parse_time, rfc3339
from tiphys.api.resources import ResourceInfo

ORPHAN: Final = "orphan"
FOREGROUND: Final = "foregroundDeletion"
POD_GRACE_SECONDS: Final = 30
_POLICIES: Final = ("Background", "Foreground", "Orphan")
# Kinds whose storage compares before the generic one does.
_OWN_WORDS: Final = frozenset({"core.v1.Namespace", "apiextensions.v1.CustomResourceDefinition"})
_FINISHED: Final = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    grace_period_seconds: int | None = None
    propagation_policy: str = ""
    uid: str = ""
    resource_version: str = ""
    is_dry_run: bool = False


def parse_delete_options(obj: Obj) -> DeleteOptions:
    """From the body (or query) of a delete. Raises Invalid."""
    errors: list[FieldError] = []
    orphan, policy = obj.get("orphanDependents"), obj.get("propagationPolicy")
    if orphan is not None and policy is not None:
        errors.append(
            invalid(
                "propagationPolicy",
                policy,
                "orphanDependents and deletionPropagation cannot be both set",
            )
        )
    if policy is not None and policy not in _POLICIES:
        errors.append(
            FieldError(
                "FieldValueNotSupported",
                "propagationPolicy",
                policy,
                'supported values: "Foreground", "Background", "Orphan", "nil"',
            )
        )
    dry = obj.get("dryRun") or []
    if any(d != "All" for d in dry):
        errors.append(not_supported("dryRun", dry, ["All"]))
    if errors:
        raise invalid_object("meta.k8s.io", "DeleteOptions", "", errors)
    if orphan is not None and not policy:
        policy = "Orphan" if orphan else "Background"
    preconditions = obj.get("preconditions") or {}
    return DeleteOptions(
        grace_period_seconds=obj.get("gracePeriodSeconds"),
        propagation_policy=policy or "",
        uid=preconditions.get("uid") or "",
        resource_version=preconditions.get("resourceVersion") or "",
        is_dry_run=bool(dry),
    )


def check_delete_preconditions(info: ResourceInfo, obj: Obj, options: DeleteOptions) -> None:
    """Raises Conflict."""
    metadata = obj["metadata"]
    for given, found, word, what in (
        (options.uid, metadata.get("uid", ""), "UID", "deleted and then recreated"),
        (
            options.resource_version,
            metadata.get("resourceVersion", ""),
            "ResourceVersion",
            "modified",
        ),
    ):
        if given and given != found and info.schema_type in _OWN_WORDS:
            text = f"{word} in precondition: {given}, {word} in object meta: {found}"
            why = f"Precondition failed: {text}"
            raise conflict(info.group, info.plural, metadata["name"], why)
        if given and given != found:
            raise conflict(
                info.group,
                info.kind,
                metadata["name"],
                f"the {word} in the precondition ({given}) does not match the {word} in record"
                f" ({found}). The object might have been {what}",
            )


def plan_delete(
    obj: Obj, options: DeleteOptions, now: datetime, *, orphans_by_default: bool = False
) -> Obj | None:
    """The object to write instead (marked as deleted), or None to remove it. `obj` stays as is."""
    grace = _grace_seconds(obj, options)
    metadata = dict(obj["metadata"])
    present, policy = metadata.get("finalizers") or [], options.propagation_policy
    if not policy and orphans_by_default and not {ORPHAN, FOREGROUND} & set(present):
        policy = "Orphan"
    finalizers = _finalizers(present, policy)
    waits = bool(grace or finalizers or at(obj, "spec", "finalizers"))
    if is_core(obj, "Namespace"):
        waits = waits or not metadata.get("deletionTimestamp")
    if not waits:
        return None
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)
    mark(metadata, grace, now)
    new = obj | {"metadata": metadata}
    if is_core(obj, "Namespace"):
        metadata.pop("deletionGracePeriodSeconds", None)
        new["status"] = dict(obj.get("status") or {}) | {"phase": "Terminating"}
        if "deletionGracePeriodSeconds" not in obj["metadata"]:
            # The namespace strategy marks without a time. Source: core/namespace/storage Delete.
            metadata.pop("deletionGracePeriodSeconds", None)
    return new


def mark(metadata: Obj, grace: int, now: datetime) -> None:
    """A first mark sets the time; a later one may only bring it forward."""
    before: Any = metadata.get("deletionTimestamp")
    if before:
        old_grace = metadata.get("deletionGracePeriodSeconds") or 0
        if grace >= old_grace:
            return
        moment = parse_time(before) + timedelta(seconds=grace - old_grace)
        metadata["deletionTimestamp"] = rfc3339(moment)
    else:
        metadata["deletionTimestamp"] = rfc3339(now + timedelta(seconds=grace))
        if metadata.get("generation"):
            metadata["generation"] += 1
    metadata["deletionGracePeriodSeconds"] = grace


def _grace_seconds(obj: Obj, options: DeleteOptions) -> int:
    """Only pods end slowly. Raises BadRequest for a negative time."""
    asked = options.grace_period_seconds
    if not is_core(obj, "Pod"):
        return 0
    if asked is None:
        default = at(obj, "spec", "terminationGracePeriodSeconds", default=POD_GRACE_SECONDS)
        before = obj["metadata"].get("deletionGracePeriodSeconds")
        asked = int(default) if before is None else int(before)
    if asked < 0:
        # Upstream reads a negative time as the shortest there is.
        asked = 1
    if not at(obj, "spec", "nodeName") or at(obj, "status", "phase") in _FINISHED:
        return 0
    return asked


def _finalizers(present: list[str], policy: str) -> list[str]:
    """Orphan and Foreground are finalizers of the garbage collector; Background is none."""
    kept = [f for f in present if f not in {ORPHAN, FOREGROUND}]
    if policy == "Orphan":
        return [*kept, ORPHAN]
    if policy == "Foreground":
        return [*kept, FOREGROUND]
    return kept if policy == "Background" else list(present)
