"""CronJob. Upstream: pkg/registry/batch/cronjob."""

from datetime import datetime
from typing import Any

from tiphys.api.meta import Obj, at
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.batch.job import default_job_parts
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource

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


CRON_JOB = Resource(
    _INFO,
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
