"""CronJob. Upstream: pkg/registry/batch/cronjob."""

from datetime import datetime
from typing import Any

from tiphys.api.field_errors import FieldError, invalid
from tiphys.api.meta import Obj, at
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.batch import schedule_rules
from tiphys.apiserver.resources.batch.job import default_job_parts
from tiphys.apiserver.resources.batch.job_rules import job_spec
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules import warnings, workload
from tiphys.apiserver.resources.rules.texts import one_of, unsupported

_INFO = built_in("batch", "v1", "cronjobs")


def default(cron_job: Obj) -> None:
    spec = cron_job["spec"]
    spec.setdefault("concurrencyPolicy", "Allow")
    spec.setdefault("suspend", False)
    spec.setdefault("successfulJobsHistoryLimit", 3)
    spec.setdefault("failedJobsHistoryLimit", 1)
    default_job_parts(spec["jobTemplate"]["spec"])
    cron_job.setdefault("status", {})


def _last_schedule(cron_job: Obj, now: datetime) -> Any:
    last = at(cron_job, "status", "lastScheduleTime")
    return cells.since(last, now) if last else "<none>"


def _suspend(cron_job: Obj, _: datetime) -> Any:
    suspended = at(cron_job, "spec", "suspend")
    return "<unset>" if suspended is None else str(suspended)


_NAME_MAX = 52  # 63 less the suffix of the jobs' names.


def validate(cron_job: Obj) -> list[FieldError]:
    spec = cron_job["spec"]
    errors = schedule_rules.schedule(spec.get("schedule", ""), "spec.schedule")
    errors += workload.not_negative_at(spec, "spec", "startingDeadlineSeconds")
    errors += schedule_rules.time_zone(spec.get("timeZone"), "spec.timeZone")
    valid = ("Allow", "Forbid", "Replace")
    errors += one_of(spec.get("concurrencyPolicy", ""), "spec.concurrencyPolicy", valid)
    job, path = spec["jobTemplate"]["spec"], "spec.jobTemplate.spec"
    errors += job_spec(job, path)
    if job.get("selector") is not None:
        shown = workload.shown_selector(job["selector"])
        errors.append(invalid(f"{path}.selector", shown, "`selector` will be auto-generated"))
    if job.get("manualSelector"):
        errors.append(unsupported(f"{path}.manualSelector", True, ("nil", "false")))
    return errors + workload.not_negative_at(
        spec, "spec", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"
    )


def validate_name_length(cron_job: Obj) -> list[FieldError]:
    name = cron_job["metadata"].get("name", "")
    if len(name) <= _NAME_MAX:
        return []
    return [invalid("metadata.name", name, f"must be no more than {_NAME_MAX} characters")]


_of_job = warnings.of_job("spec", "jobTemplate", "spec")


def cron_job_warnings(new: Obj, old: Obj | None) -> list[str]:
    found = _of_job(new, old)
    if old is not None and "TZ" in new["spec"].get("schedule", ""):
        found.append(
            "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see "
            "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
        )
    return found


CRON_JOB = Resource(
    _INFO,
    validate=validate,
    validate_create=validate_name_length,
    warnings=cron_job_warnings,
    columns=columns_of(
        _INFO,
        cells.name,
        cells.value("spec", "schedule"),
        cells.value("spec", "timeZone", default="<none>"),
        _suspend,
        cells.count("status", "active"),
        _last_schedule,
        cells.age,
        cells.container_names("spec", "jobTemplate", "spec", "template", "spec"),
        cells.container_images("spec", "jobTemplate", "spec", "template", "spec"),
        cells.selector("spec", "jobTemplate", "spec", "selector"),
    ),
    default=default,
    before_create=generation.created({}),
    before_update=generation.updated,
    before_status_update=generation.status_updated,
)
