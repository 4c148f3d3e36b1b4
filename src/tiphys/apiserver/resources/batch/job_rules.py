"""Validation of Jobs and of the jobs in CronJobs. Upstream: pkg/apis/batch/validation."""

import re
from itertools import pairwise
from typing import Any, Final

from tiphys.api import names
from tiphys.api.field_errors import (
    OMITTED,
    FieldError,
    duplicate,
    invalid,
    required,
    too_long,
    too_many,
)
from tiphys.api.go_form import go_form
from tiphys.api.labels import from_object
from tiphys.api.meta import Obj, at, condition
from tiphys.apiserver.resources.rules import workload
from tiphys.apiserver.resources.rules.texts import (
    IMMUTABLE,
    domain_path,
    label_name,
    label_selector,
    unsupported,
)

_NUMBERS: Final = (
    "parallelism", "completions", "activeDeadlineSeconds", "backoffLimit",
    "ttlSecondsAfterFinished", "backoffLimitPerIndex", "maxFailedIndexes",
)  # fmt: skip
_ACTIONS: Final = ("Count", "FailIndex", "FailJob", "Ignore")
_MANAGED_BY_MAX: Final = 63
PARALLELISM_MAX: Final = 100_000  # Of indexed jobs.
FAILED_INDEXES_MAX: Final = 100_000
_MANY_INDEXES: Final = 100_000
_OF_MANY_MAX: Final = 10_000  # Running at once, and failed.
_RULES_MAX: Final = 20
_EXIT_CODES_MAX: Final = 255
_PATTERNS_MAX: Final = 20
_INDEXES_BYTES_MAX: Final = 64 * 1024
_PREFIX: Final = "batch.kubernetes.io/"
_NUMBER: Final = re.compile("[+-]?[0-9]{1,19}")  # As many digits as an int64 has.


def validate(job: Obj) -> list[FieldError]:
    errors = _generated_selector(job) + _selected_spec(job["spec"])
    return errors + _pod_hostname(job)


def _selected_spec(spec: Obj) -> list[FieldError]:
    """A job's spec with its selector, which the jobs of cron jobs do not have."""
    errors = job_spec(spec, "spec")
    selector = spec.get("selector")
    if selector is None:
        errors.append(required("spec.selector"))
    errors += label_selector(selector, "spec.selector")
    if workload.is_well_formed(selector):
        labels = at(spec, "template", "metadata", "labels")
        if not from_object(selector).matches(labels or {}):
            text = "`selector` does not match template `labels`"
            errors.append(invalid("spec.template.metadata.labels", labels, text))
    return errors


def _generated_selector(job: Obj) -> list[FieldError]:
    """A selector that the server made stays that of this job and of its pods."""
    spec, metadata = job["spec"], job["metadata"]
    if spec.get("manualSelector") or spec.get("selector") is None:
        return []
    labels = at(spec, "template", "metadata", "labels", default={})
    expected = {
        f"{prefix}{name}": metadata.get(field, "")
        for prefix in ("", _PREFIX)
        for name, field in (("controller-uid", "uid"), ("job-name", "name"))
    }
    errors: list[FieldError] = []
    for key, value in expected.items():
        where, text = f"spec.template.metadata.labels[{key}]", f"must be '{value}'"
        if key not in labels:
            errors.append(required(where, text))
        elif labels[key] != value:
            errors.append(invalid(where, dict(sorted(labels.items())), text))
    selector = spec["selector"]
    if workload.is_well_formed(selector) and not from_object(selector).matches(expected):
        shown = workload.shown_selector(selector)
        errors.append(invalid("spec.selector", shown, "`selector` not auto-generated"))
    return errors


def _pod_hostname(job: Obj) -> list[FieldError]:
    """The pods of an indexed job are named after it and their index."""
    spec, name = job["spec"], job["metadata"].get("name", "")
    completions = spec.get("completions") or 0
    if spec.get("completionMode") != "Indexed" or completions <= 0:
        return []
    hostname = f"{name}-{completions - 1}"
    if not names.dns_label(hostname):
        return []
    text = f"will not able to create pod with invalid DNS label: {hostname}"
    return [invalid("metadata.name", name, text)]


def job_spec(spec: Obj, path: str) -> list[FieldError]:
    errors = workload.not_negative_at(spec, path, *_NUMBERS)
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        text = "when maxFailedIndexes is specified"
        errors.append(required(f"{path}.backoffLimitPerIndex", text))
    manager = spec.get("managedBy")
    if manager is not None:
        errors += domain_path(manager, f"{path}.managedBy")
        if len(manager) > _MANAGED_BY_MAX:
            errors.append(too_long(f"{path}.managedBy", _MANAGED_BY_MAX))
    errors += _completion_mode(spec, path)
    if "podFailurePolicy" in spec:
        errors += _failure_policy(spec, f"{path}.podFailurePolicy")
    errors += _success_policy(spec, path)
    errors += _replacement(spec, f"{path}.podReplacementPolicy")
    errors += workload.template(spec.get("template"), f"{path}.template")
    restart = at(spec, "template", "spec", "restartPolicy", default="")
    where = f"{path}.template.spec.restartPolicy"
    if restart in {"", "Always"}:
        errors.append(required(where, 'valid values: "OnFailure", "Never"'))
    elif restart not in {"OnFailure", "Never"}:
        errors.append(unsupported(where, restart, ("OnFailure", "Never")))
    elif "podFailurePolicy" in spec and restart != "Never":
        text = 'only "Never" is supported when podFailurePolicy is specified'
        errors.append(invalid(where, restart, text))
    return errors


def _completion_mode(spec: Obj, path: str) -> list[FieldError]:
    mode = spec.get("completionMode")
    failed, completions = spec.get("maxFailedIndexes"), spec.get("completions")
    errors: list[FieldError] = []
    if mode not in {None, "NonIndexed", "Indexed"}:
        errors.append(unsupported(f"{path}.completionMode", mode, ("NonIndexed", "Indexed")))
    if mode == "Indexed":
        if completions is None:
            errors.append(required(f"{path}.completions", "when completion mode is Indexed"))
        if (spec.get("parallelism") or 0) > PARALLELISM_MAX:
            text = (
                f"must be less than or equal to {PARALLELISM_MAX} when completion mode is Indexed"
            )
            errors.append(invalid(f"{path}.parallelism", spec["parallelism"], text))
        if completions is not None and failed is not None and failed > completions:
            text = "must be less than or equal to completions"
            errors.append(invalid(f"{path}.maxFailedIndexes", failed, text))
        if (failed or 0) > FAILED_INDEXES_MAX:
            text = f"must be less than or equal to {FAILED_INDEXES_MAX}"
            errors.append(invalid(f"{path}.maxFailedIndexes", failed, text))
        errors += _many_indexes(spec, path)
    if mode in {None, "NonIndexed"}:
        errors += [
            invalid(f"{path}.{field}", spec[field], "requires indexed completion mode")
            for field in ("backoffLimitPerIndex", "maxFailedIndexes")
            if spec.get(field) is not None
        ]
    return errors


def _many_indexes(spec: Obj, path: str) -> list[FieldError]:
    """Above a number of indexes with limits of their own, less may run and fail."""
    if (spec.get("completions") or 0) <= _MANY_INDEXES or spec.get("backoffLimitPerIndex") is None:
        return []
    errors: list[FieldError] = []
    if spec.get("maxFailedIndexes") is None:
        text = f"must be specified when completions is above {_MANY_INDEXES}"
        errors.append(required(f"{path}.maxFailedIndexes", text))
    text = (
        f"must be less than or equal to {_OF_MANY_MAX} when completions are above {_MANY_INDEXES} "
        "and used with backoff limit per index"
    )
    return errors + [
        invalid(f"{path}.{field}", spec[field], text)
        for field in ("parallelism", "maxFailedIndexes")
        if (spec.get(field) or 0) > _OF_MANY_MAX
    ]


def _failure_policy(spec: Obj, path: str) -> list[FieldError]:
    rules = spec["podFailurePolicy"].get("rules") or ()
    errors = []
    if len(rules) > _RULES_MAX:
        errors = [too_many(f"{path}.rules", len(rules), _RULES_MAX)]
    pod = at(spec, "template", "spec", default={})
    containers = {c.get("name") for f in ("containers", "initContainers") for c in pod.get(f) or ()}
    return errors + [
        error
        for index, rule in enumerate(rules)
        for error in _failure_rule(spec, rule, f"{path}.rules[{index}]", containers)
    ]


def _failure_rule(spec: Obj, rule: Obj, path: str, containers: set[Any]) -> list[FieldError]:
    action, codes = rule.get("action", ""), rule.get("onExitCodes")
    patterns = rule.get("onPodConditions") or ()
    errors: list[FieldError] = []
    if not action:
        text = 'valid values: ["Count" "FailIndex" "FailJob" "Ignore"]'
        errors.append(required(f"{path}.action", text))
    elif action == "FailIndex":
        if spec.get("backoffLimitPerIndex") is None:
            text = "requires the backoffLimitPerIndex to be set"
            errors.append(invalid(f"{path}.action", action, text))
    elif action not in _ACTIONS:
        errors.append(unsupported(f"{path}.action", action, _ACTIONS))
    if codes is not None:
        errors += _exit_codes(codes, f"{path}.onExitCodes", containers)
    if len(patterns) > _PATTERNS_MAX:
        errors.append(too_many(f"{path}.onPodConditions", len(patterns), _PATTERNS_MAX))
    for index, pattern in enumerate(patterns):
        where = f"{path}.onPodConditions[{index}]"
        errors += label_name(pattern.get("type", ""), f"{where}.type")
        status = pattern.get("status", "")
        if status not in {"True", "False", "Unknown"}:
            errors.append(unsupported(f"{where}.status", status, ("False", "True", "Unknown")))
    if codes is not None and patterns:
        text = "specifying both OnExitCodes and OnPodConditions is not supported"
        errors.append(invalid(path, OMITTED, text))
    if codes is None and not patterns:
        text = "specifying one of OnExitCodes and OnPodConditions is required"
        errors.append(invalid(path, OMITTED, text))
    return errors


def _exit_codes(codes: Obj, path: str, containers: set[Any]) -> list[FieldError]:
    operator, values = codes.get("operator", ""), codes.get("values") or []
    errors: list[FieldError] = []
    if not operator:
        errors.append(required(f"{path}.operator", 'valid values: ["In" "NotIn"]'))
    elif operator not in {"In", "NotIn"}:
        errors.append(unsupported(f"{path}.operator", operator, ("In", "NotIn")))
    name = codes.get("containerName")
    if name is not None and name not in containers:
        text = "must be one of the container or initContainer names in the pod template"
        errors.append(invalid(f"{path}.containerName", name, text))
    where = f"{path}.values"
    if not values:
        errors.append(invalid(where, codes.get("values"), "at least one value is required"))
    elif len(values) > _EXIT_CODES_MAX:
        errors.append(too_many(where, len(values), _EXIT_CODES_MAX))
    for index, value in enumerate(values):
        if operator == "In" and value == 0:
            text = "must not be 0 for the In operator"
            errors.append(invalid(f"{where}[{index}]", value, text))
        if value in values[:index]:
            errors.append(duplicate(f"{where}[{index}]", value))
    if any(a > b for a, b in pairwise(values)):
        errors.append(invalid(where, values, "must be ordered"))
    return errors


def _success_policy(spec: Obj, path: str) -> list[FieldError]:
    policy = spec.get("successPolicy")
    if policy is None:
        return []
    where = f"{path}.successPolicy"
    rules = policy.get("rules") or ()
    if spec.get("completionMode") != "Indexed":
        shown = go_form(policy, "batch.v1.SuccessPolicy")
        return [invalid(where, shown, "requires indexed completion mode")]
    if not rules:
        text = "at least one rules must be specified when the successPolicy is specified"
        return [required(f"{where}.rules", text)]
    errors: list[FieldError] = []
    if len(rules) > _RULES_MAX:
        errors.append(too_many(f"{where}.rules", len(rules), _RULES_MAX))
    completions = spec.get("completions") or 0
    for index, rule in enumerate(rules):
        errors += _success_rule(rule, f"{where}.rules[{index}]", completions)
    return errors


def _success_rule(rule: Obj, path: str, completions: int) -> list[FieldError]:
    indexes, count = rule.get("succeededIndexes"), rule.get("succeededCount")
    errors: list[FieldError] = []
    if indexes is None and count is None:
        text = "at least one of succeededCount or succeededIndexes must be specified"
        errors.append(required(path, text))
    total = 0
    if indexes is not None:
        where = f"{path}.succeededIndexes"
        if len(indexes) > _INDEXES_BYTES_MAX:
            errors.append(too_long(where, _INDEXES_BYTES_MAX))
        try:
            total = index_count(indexes, completions)
        except ValueError as error:
            errors.append(invalid(where, indexes, f"error parsing succeededIndexes: {error}"))
    if count is None:
        return errors
    errors += workload.not_negative_at(rule, path, "succeededCount")
    for most, of in (
        (completions, "specified completions"),
        (
            total if indexes is not None else count,
            "indexes in the specified succeededIndexes field",
        ),
    ):
        if count > most:
            text = f"must be less than or equal to {most} (the number of {of})"
            errors.append(invalid(f"{path}.succeededCount", count, text))
    return errors


def index_count(text: str, completions: int) -> int:
    """How many indexes "0,2-5" names. Raises ValueError, with upstream's words."""
    total, last = 0, -1
    for part in text.split(",") if text else ():
        first, end = index_interval(part, completions)
        _increasing(last, first)
        last = end
        total += end - first + 1
    return total


def index_interval(text: str, completions: int) -> tuple[int, int]:
    """First and last of "2-5" or "2". Raises ValueError, with upstream's words."""
    limits = text.split("-")
    if len(limits) > 2:
        raise ValueError(
            f'the fragment "{text}" violates the requirement that an index interval can have'
            " at most two parts separated by '-'"
        )
    numbers = []
    for limit in limits:
        if not _NUMBER.fullmatch(limit):
            raise ValueError(f'cannot convert string to integer for index: "{limit}"')
        if int(limit) >= completions:
            raise ValueError(f'too large index: "{limit}"')
        numbers.append(int(limit))
    if len(numbers) > 1:
        _increasing(*numbers)
    return numbers[0], numbers[-1]


def _increasing(previous: int, current: int) -> None:
    if current <= previous:
        raise ValueError(f"non-increasing order, previous: {previous}, current: {current}")


def _replacement(spec: Obj, path: str) -> list[FieldError]:
    policy = spec.get("podReplacementPolicy")
    if policy is None:
        return []
    valid = ("Failed",) if "podFailurePolicy" in spec else ("Failed", "TerminatingOrFailed")
    return [] if policy in valid else [unsupported(path, policy, valid)]


# Field -> the type that upstream's message shows; texts and numbers have none.
_FIXED: Final = {
    "completionMode": "",
    "podFailurePolicy": "batch.v1.PodFailurePolicy",
    "backoffLimitPerIndex": "",
    "managedBy": "",
    "successPolicy": "batch.v1.SuccessPolicy",
}
# What of a suspended job's pods may still change, while none of them was started (KEP-2926).
_SCHEDULING: Final = ("nodeSelector", "tolerations", "schedulingGates")
_POD_SPEC: Final = "core.v1.PodSpec"


def validate_update(new: Obj, old: Obj) -> list[FieldError]:
    spec, before = new["spec"], old["spec"]
    errors = _selected_spec(spec) + _completions_update(spec, before)
    selector = spec.get("selector")
    if selector != before.get("selector"):
        shown = None if selector is None else workload.shown_selector(selector)
        errors.append(invalid("spec.selector", shown, IMMUTABLE))
    errors += _template_update(spec, old)
    for field, type_name in _FIXED.items():
        value = spec.get(field)
        if value == before.get(field):
            continue
        if value is not None and type_name:
            value = go_form(value, type_name)
        errors.append(invalid(f"spec.{field}", value, IMMUTABLE))
    return errors


def _completions_update(spec: Obj, before: Obj) -> list[FieldError]:
    now = spec.get("completions")
    if now == before.get("completions"):
        return []
    if spec.get("completionMode") != "Indexed":
        return [invalid("spec.completions", now, IMMUTABLE)]
    if now is None or now == spec.get("parallelism"):  # That there are none is told already.
        return []
    return [
        invalid("spec.completions", now, "can only be modified in tandem with spec.parallelism")
    ]


def _template_update(spec: Obj, old: Obj) -> list[FieldError]:
    now, then = spec["template"], old["spec"]["template"]
    if not _is_flexible(old):
        if now == then:
            return []
        shown = go_form(now, "core.v1.PodTemplateSpec")
        return [invalid("spec.template", shown, IMMUTABLE)]
    if _without_directives(now["spec"]) == _without_directives(then["spec"]):
        return []
    return [invalid("spec.template.spec", go_form(now["spec"], _POD_SPEC), IMMUTABLE)]


def _is_flexible(job: Obj) -> bool:
    """Suspended, with nothing running."""
    status = job.get("status") or {}
    stopped = (condition(job, "Suspended") or {}).get("status") == "True"
    has_stopped = stopped or not status.get("startTime")
    return bool(job["spec"].get("suspend")) and has_stopped and not status.get("active")


def _without_directives(pod: Obj) -> Obj:
    """A pod's spec without what says where it runs and how much it gets."""
    found = {k: v for k, v in pod.items() if k not in _SCHEDULING}
    affinity = {k: v for k, v in (found.pop("affinity", None) or {}).items() if k != "nodeAffinity"}
    if affinity:
        found["affinity"] = affinity
    for kind in ("initContainers", "containers"):
        containers = found.pop(kind, None) or ()
        found[kind] = [{k: v for k, v in c.items() if k != "resources"} for c in containers]
    return found
