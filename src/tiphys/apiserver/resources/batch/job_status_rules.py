"""What a Job's status may say, and how it may change. Upstream: pkg/apis/batch/validation."""

from typing import Final

from tiphys.api.field_errors import OMITTED, FieldError, invalid, required
from tiphys.api.meta import Obj, condition
from tiphys.apiserver.resources.rules import workload

_COUNTS: Final = ("active", "succeeded", "failed", "ready", "terminating")
_PATH: Final = "status.conditions"
_SUCCESS: Final = "SuccessCriteriaMet"


def validate_status_update(new: Obj, old: Obj) -> list[FieldError]:
    """Upstream checks most of this only where the change concerns it; so does this."""
    status, before = new.get("status") or {}, old.get("status") or {}
    errors = workload.not_negative_at(status, "status", *_COUNTS)
    errors += _finished(new, old)
    if status.get("ready", 0) > status.get("active", 0):
        text = "cannot set more ready pods than active"
        errors.append(invalid("status.ready", status["ready"], text))
    for kind in ("Failed", "Complete", "FailureTarget", _SUCCESS):
        if _is(old, kind) and not _is(new, kind):
            shown = kind if kind == _SUCCESS else f"terminal {kind}"
            errors.append(invalid(_PATH, OMITTED, f"cannot disable the {shown}=True condition"))
    for field in ("failed", "succeeded"):
        if field == "succeeded" and _may_shrink(new):
            continue
        if status.get(field, 0) < before.get(field, 0):
            text = f"cannot decrease the {field} counter"
            errors.append(invalid(f"status.{field}", status.get(field, 0), text))
    return errors


def _finished(new: Obj, old: Obj) -> list[FieldError]:
    """An end needs a beginning, a reason, and no pods left."""
    status = new.get("status") or {}
    complete, failed = _is(new, "Complete"), _is(new, "Failed")
    ended = (complete and not _is(old, "Complete")) or (failed and not _is(old, "Failed"))
    errors: list[FieldError] = []
    for kind in ("Failed", "FailureTarget"):
        if complete and _is(new, kind):
            text = f"cannot set Complete=True and {kind}=true conditions"
            errors.append(invalid(_PATH, OMITTED, text))
    if status.get("completionTime") and not complete:
        text = "cannot set completionTime when there is no Complete=True condition"
        errors.append(invalid("status.completionTime", status["completionTime"], text))
    if complete and not status.get("completionTime"):
        text = "completionTime is required for Complete jobs"
        errors.append(required("status.completionTime", text))
    if ended and failed and not _is(new, "FailureTarget"):
        text = "cannot set Failed=True condition without the FailureTarget=true condition"
        errors.append(invalid(_PATH, OMITTED, text))
    if ended and complete and not _is(new, _SUCCESS):
        text = f"cannot set Complete=True condition without the {_SUCCESS}=true condition"
        errors.append(invalid(_PATH, OMITTED, text))
    if ended and status.get("active", 0) > 0:
        text = "active>0 is invalid for finished job"
        errors.append(invalid("status.active", status["active"], text))
    if ended and not status.get("startTime"):
        errors.append(required("status.startTime", "startTime is required for finished job"))
    if ended and status.get("terminating", 0) > 0:
        text = "terminating>0 is invalid for finished job"
        errors.append(invalid("status.terminating", status["terminating"], text))
    return errors


def _is(job: Obj, kind: str) -> bool:
    return (condition(job, kind) or {}).get("status") == "True"


def _may_shrink(job: Obj) -> bool:
    """An indexed job that is scaled down loses indexes that had succeeded."""
    spec = job["spec"]
    indexed = spec.get("completionMode") == "Indexed"
    return indexed and bool(spec.get("completions") == spec.get("parallelism"))
