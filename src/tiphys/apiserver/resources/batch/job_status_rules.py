"""What a Job's status may say, and how it may change.

Most is looked at only where the change concerns it: a status that was wrong before may stay.
Upstream: pkg/apis/batch/validation (validateJobStatus, ValidateJobStatusUpdate),
pkg/registry/batch/job/strategy.go (getStatusValidationOptions).
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from tiphys.api.field_errors import OMITTED, FieldError, duplicate, invalid, required
from tiphys.api.go_form import go_form
from tiphys.api.meta import Obj, condition, parse_time
from tiphys.apiserver.resources.batch.job_rules import index_count, index_interval
from tiphys.apiserver.resources.rules import workload
from tiphys.apiserver.resources.rules.texts import IMMUTABLE

_COUNTS: Final = ("active", "succeeded", "failed", "ready", "terminating")
_PATH: Final = "status.conditions"
_SUCCESS: Final = "SuccessCriteriaMet"
_UNCOUNTED: Final = "uncountedTerminatedPods"


class _Change(NamedTuple):
    """A job with its new status, and the job before."""

    new: Obj
    old: Obj

    def now(self, field: str, default: Any = None) -> Any:
        return (self.new.get("status") or {}).get(field, default)

    def differs(self, *fields: str) -> bool:
        before = self.old.get("status") or {}
        return any(self.now(field) != before.get(field) for field in fields)

    def becomes(self, *kinds: str) -> bool:
        """Whether one of these conditions changes."""
        return any(_is(self.new, kind) != _is(self.old, kind) for kind in kinds)

    @property
    def is_finished(self) -> bool:
        return _is_finished(self.new)

    @property
    def finishes(self) -> bool:
        return self.is_finished != _is_finished(self.old)


def validate_status_update(new: Obj, old: Obj) -> list[FieldError]:
    change = _Change(new, old)
    status, spec = new.get("status") or {}, new["spec"]
    errors = workload.not_negative_at(status, "status", *_COUNTS)
    errors += _uncounted(status.get(_UNCOUNTED) or {})
    errors += _completion(change) + _reasons(change) + _leftovers(change)
    errors += _indexes(change, spec) + _pods(change)
    succeeds, complete = _is(new, _SUCCESS), _is(new, "Complete")
    if succeeds:
        errors += [
            _conditions_error(f"cannot set {_SUCCESS}=True and {kind}=true conditions")
            for kind in ("Failed", "FailureTarget")
            if _is(new, kind)
        ]
    elif complete and spec.get("successPolicy") is not None:
        text = f"cannot set Complete=True for Job with SuccessPolicy unless {_SUCCESS}=True"
        errors.append(_conditions_error(text))
    return errors + _transitions(change)


def _is(job: Obj, kind: str) -> bool:
    return (condition(job, kind) or {}).get("status") == "True"


def _is_finished(job: Obj) -> bool:
    return _is(job, "Complete") or _is(job, "Failed")


def _conditions_error(text: str) -> FieldError:
    return invalid(_PATH, OMITTED, text)


def _uncounted(pods: Obj) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for field in ("succeeded", "failed"):
        for index, uid in enumerate(pods.get(field) or ()):
            where = f"status.{_UNCOUNTED}.{field}[{index}]"
            if not uid:
                errors.append(invalid(where, uid, "must not be empty"))
            elif uid in seen:
                errors.append(duplicate(where, uid))
            seen.add(uid)
    return errors


def _completion(change: _Change) -> list[FieldError]:
    """Complete goes with a time, and without a failure."""
    complete, ended = _is(change.new, "Complete"), change.now("completionTime")
    errors = [
        _conditions_error(f"cannot set Complete=True and {kind}=true conditions")
        for kind in ("Failed", "FailureTarget")
        if complete and _is(change.new, kind) and change.becomes("Complete", kind)
    ]
    if change.becomes("Complete") or change.differs("completionTime"):
        if ended and not complete:
            text = "cannot set completionTime when there is no Complete=True condition"
            errors.append(invalid("status.completionTime", ended, text))
        if complete and not ended:
            text = "completionTime is required for Complete jobs"
            errors.append(required("status.completionTime", text))
    began = change.now("startTime")
    is_new = change.differs("startTime", "completionTime")
    if is_new and began and ended and parse_time(ended) < parse_time(began):
        text = "must be equal to or after `startTime`"
        errors.append(invalid("status.completionTime", ended, text))
    return errors


def _reasons(change: _Change) -> list[FieldError]:
    """An end has a condition that came before it."""
    errors: list[FieldError] = []
    failed_now = change.becomes("Failed") or change.differs("failedIndexes")
    for kind, reason, concerned in (
        ("Failed", "FailureTarget", failed_now),
        ("Complete", _SUCCESS, change.becomes("Complete", _SUCCESS)),
    ):
        if concerned and _is(change.new, kind) and not _is(change.new, reason):
            text = f"cannot set {kind}=True condition without the {reason}=true condition"
            errors.append(_conditions_error(text))
    return errors


def _leftovers(change: _Change) -> list[FieldError]:
    """What a finished job has no more, and that it began."""
    if not change.is_finished:
        return []
    errors: list[FieldError] = []
    active, uncounted = change.now("active", 0), change.now(_UNCOUNTED) or {}
    if active > 0 and (change.finishes or change.differs("active")):
        errors.append(invalid("status.active", active, "active>0 is invalid for finished job"))
    spec = change.new["spec"]
    has_nothing_to_do = bool(spec.get("suspend")) and spec.get("completions") == 0
    begins = (change.finishes or change.differs("startTime")) and not has_nothing_to_do
    if begins and not change.now("startTime"):
        errors.append(required("status.startTime", "startTime is required for finished job"))
    concerned = change.finishes or change.differs(_UNCOUNTED)
    if concerned and (uncounted.get("failed") or uncounted.get("succeeded")):
        shown = go_form(uncounted, "batch.v1.UncountedTerminatedPods")
        errors.append(invalid(f"status.{_UNCOUNTED}", shown, "must be empty for finished job"))
    return errors


def _indexes(change: _Change, spec: Obj) -> list[FieldError]:
    completed, failed = change.now("completedIndexes", ""), change.now("failedIndexes")
    is_new, is_new_failed = change.differs("completedIndexes"), change.differs("failedIndexes")
    completions, has_limits = spec.get("completions"), spec.get("backoffLimitPerIndex") is not None
    errors: list[FieldError] = []
    if is_new and completions is not None:
        errors += _index_format("completedIndexes", completed, completions)
    if is_new_failed and completions is not None and has_limits and failed is not None:
        errors += _index_format("failedIndexes", failed, completions)
    if is_new and completed and spec.get("completionMode") != "Indexed":
        text = "cannot set non-empty completedIndexes when non-indexed completion mode"
        errors.append(invalid("status.completedIndexes", completed, text))
    if is_new_failed and failed is not None and not has_limits:
        text = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
        errors.append(invalid("status.failedIndexes", failed, text))
    if (is_new or is_new_failed) and completions is not None and failed:
        common = _common_index(completed, failed, completions)
        if common is not None:
            text = f"failedIndexes and completedIndexes overlap at index: {common}"
            errors.append(invalid("status.failedIndexes", failed, text))
    return errors


def _index_format(field: str, value: str, completions: int) -> list[FieldError]:
    try:
        index_count(value, completions)
    except ValueError as error:
        return [invalid(f"status.{field}", value, f"error parsing {field}: {error}")]
    return []


def _common_index(completed: str, failed: str, completions: int) -> int | None:
    """The first index that both name.

    What is no interval, and intervals that do not increase, are told elsewhere.
    """
    intervals, others = _intervals(completed, completions), _intervals(failed, completions)
    one, other = next(intervals, None), next(others, None)
    while one is not None and other is not None:
        if one[0] <= other[1] and other[0] <= one[1]:
            return max(one[0], other[0])
        if one[0] <= other[0]:
            one = next(intervals, None)
        else:
            other = next(others, None)
    return None


def _intervals(text: str, completions: int) -> Iterator[tuple[int, int]]:
    for part in text.split(","):
        try:
            yield index_interval(part, completions)
        except ValueError:
            continue


def _pods(change: _Change) -> list[FieldError]:
    errors: list[FieldError] = []
    terminating = change.now("terminating", 0)
    concerned = change.finishes or change.differs("terminating")
    if change.is_finished and concerned and terminating > 0:
        text = "terminating>0 is invalid for finished job"
        errors.append(invalid("status.terminating", terminating, text))
    ready = change.now("ready", 0)
    if change.differs("ready", "active") and ready > change.now("active", 0):
        text = "cannot set more ready pods than active"
        errors.append(invalid("status.ready", ready, text))
    return errors


def _transitions(change: _Change) -> list[FieldError]:
    new, old = change
    errors = [
        _conditions_error(f"cannot disable the terminal {kind}=True condition")
        for kind in ("Failed", "Complete", "FailureTarget")
        if _is(old, kind) and not _is(new, kind)
    ]
    before = old.get("status") or {}
    for field, may_shrink in (("failed", False), ("succeeded", _may_shrink(new))):
        if change.now(field, 0) < before.get(field, 0) and not may_shrink:
            text = f"cannot decrease the {field} counter"
            errors.append(invalid(f"status.{field}", change.now(field, 0), text))
    errors += _times(change, before)
    if _is(old, _SUCCESS) and not _is(new, _SUCCESS):
        errors.append(_conditions_error(f"cannot disable the {_SUCCESS}=True condition"))
    if _is(old, "Complete") and not _is(old, _SUCCESS) and _is(new, _SUCCESS):
        text = f"cannot set {_SUCCESS}=True for Job already has Complete=true conditions"
        errors.append(_conditions_error(text))
    return errors


def _times(change: _Change, before: Obj) -> list[FieldError]:
    errors: list[FieldError] = []
    ended = change.now("completionTime")
    if ended and before.get("completionTime") and ended != before["completionTime"]:
        errors.append(invalid("status.completionTime", ended, IMMUTABLE))
    resumes = _is(change.old, "Suspended") and _is_false(change.new, "Suspended")
    is_held = resumes or bool(change.new["spec"].get("suspend"))
    if before.get("startTime") and change.differs("startTime") and not is_held:
        text = "field is immutable for unsuspended job once set"
        errors.append(invalid("status.startTime", change.now("startTime"), text))
    return errors


def _is_false(job: Obj, kind: str) -> bool:
    return (condition(job, kind) or {}).get("status") == "False"


def _may_shrink(job: Obj) -> bool:
    """An indexed job that is scaled down loses indexes that had succeeded."""
    spec = job["spec"]
    indexed = spec.get("completionMode") == "Indexed"
    return indexed and bool(spec.get("completions") == spec.get("parallelism"))
