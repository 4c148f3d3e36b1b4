"""CronJob controller: a Job at each time of a schedule.

Upstream: pkg/controller/cronjob/cronjob_controllerv2.go, utils.go.
Reads CronJob, Job. Writes Job, CronJob/status. Times are in cron_schedule.py.
"""

import copy
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from tiphys.api.errors import AlreadyExists, ApiError, NotFound
from tiphys.api.meta import (
    Obj,
    ObjectKey,
    at,
    condition,
    controller_of,
    is_terminating,
    name_of,
    namespace_of,
    parse_time,
    rfc3339,
    uid_of,
)
from tiphys.client.controller import Context, KeyedController
from tiphys.client.recorder import object_reference
from tiphys.controllers import cron_schedule, owners
from tiphys.controllers.kinds import CRON_JOBS, JOBS
from tiphys.controllers.pod_control import is_namespace_ending

SCHEDULED_AT: Final = "batch.kubernetes.io/cronjob-scheduled-timestamp"
DELTA_SECONDS: Final = 0.1  # nextScheduleDelta: wake a little after the time, never before.


def ended(job: Obj) -> str:
    """Complete, Failed, or nothing while it runs."""
    for kind in ("Complete", "Failed"):
        if (condition(job, kind) or {}).get("status") == "True":
            return kind
    return ""


def job_name(cron_job: Obj, moment: datetime) -> str:
    return f"{name_of(cron_job)}-{int(moment.timestamp()) // 60}"


def job_of(cron_job: Obj, moment: datetime, zone: tzinfo) -> Obj:
    """The Job of one firing."""
    template = copy.deepcopy(cron_job["spec"]["jobTemplate"])
    described = template.get("metadata") or {}
    shown = moment.astimezone(zone).isoformat(timespec="seconds").replace("+00:00", "Z")
    found: Obj = {
        "name": job_name(cron_job, moment),
        "namespace": namespace_of(cron_job),
        "annotations": dict(described.get("annotations") or {}) | {SCHEDULED_AT: shown},
        "ownerReferences": [owners.owner_reference(cron_job)],
    }
    if described.get("labels"):
        found["labels"] = described["labels"]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": found,
        "spec": template["spec"],
    }


def earliest(cron_job: Obj, now: datetime) -> datetime:
    """Firings before this moment are not made up for."""
    since = at(cron_job, "status", "lastScheduleTime") or owners.created_at(cron_job)
    moment = parse_time(since)
    seconds = at(cron_job, "spec", "startingDeadlineSeconds")
    if seconds is not None:
        moment = max(moment, now - timedelta(seconds=int(seconds)))
    return moment


def is_too_late(cron_job: Obj, moment: datetime, now: datetime) -> bool:
    seconds = at(cron_job, "spec", "startingDeadlineSeconds")
    return seconds is not None and moment + timedelta(seconds=int(seconds)) < now


def unexpected(cron_job: Obj, jobs: Sequence[Obj]) -> list[Obj]:
    """Running Jobs of ours that status.active does not know."""
    active = {r["uid"] for r in at(cron_job, "status", "active", default=[])}
    return [j for j in jobs if not ended(j) and uid_of(j) not in active]


def surplus(cron_job: Obj, jobs: Sequence[Obj]) -> list[Obj]:
    """Finished Jobs beyond the history limits, the oldest of each kind."""
    found: list[Obj] = []
    limits = (("Complete", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit"))
    for kind, field in limits:
        limit = at(cron_job, "spec", field)
        if limit is None:
            continue
        done = [j for j in jobs if ended(j) == kind]
        done.sort(key=lambda j: (at(j, "status", "startTime", default=""), name_of(j)))
        found += done[: max(len(done) - int(limit), 0)]
    return found


class CronJobController(KeyedController):
    name = "cronjob-controller"

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._client = context.client_for("cronjob-controller")
        self._clock = context.clock
        self._recorder = context.recorder(self.name)
        self._cron_jobs = context.informers.of(CRON_JOBS)
        self._jobs = owners.index_of(context.informers.of(JOBS))
        self._cron_jobs.on_change(self._changed)
        context.informers.of(JOBS).on_change(self._job_changed)

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        if old is not None and new is not None and _when(old) != _when(new):
            # The new schedule counts from now: what it missed before it was written is not due.
            if (seconds := self._seconds_to_next(new)) is not None:
                self.queue.add_after(ObjectKey(namespace_of(new), name_of(new)), seconds)
            return
        self.enqueue(old, new)

    def _job_changed(self, old: Obj | None, new: Obj | None) -> None:
        for job in (old, new):
            reference = controller_of(job) if job is not None else None
            if job is not None and reference is not None and reference.get("kind") == "CronJob":
                self.queue.add(ObjectKey(namespace_of(job), str(reference["name"])))

    async def reconcile(self, key: ObjectKey) -> float | None:
        cron_job = self._cron_jobs.get(key)
        if cron_job is None:
            return None
        jobs = self._jobs.owned_by(uid_of(cron_job))
        if unexpected(cron_job, jobs):
            # Perhaps one that we just made: our own write of it may not have come back yet.
            try:
                cron_job = await self._client.get(CRON_JOBS, key.name, key.namespace)
            except NotFound:
                return None
        status = await self._observed(cron_job, jobs)
        error: ApiError | None = None
        wait: float | None = None
        try:
            if not is_terminating(cron_job):
                wait = await self._fire(cron_job, status, jobs)
        except ApiError as exc:
            error = exc
        else:
            for job in surplus(cron_job, jobs):
                await self._delete_job(cron_job, status, job)
        await self._write_status(cron_job, status)
        if error is not None:
            raise error
        return wait

    async def _observed(self, cron_job: Obj, jobs: Sequence[Obj]) -> Obj:
        """A status of its own with what the Jobs say."""
        status: Obj = copy.deepcopy(cron_job.get("status") or {})
        active = {r["uid"] for r in status.get("active") or []}
        for job in unexpected(cron_job, jobs):
            text = f"Saw a job that the controller did not create or forgot: {name_of(job)}"
            self._recorder.event(cron_job, "Warning", "UnexpectedJob", text)
        for job in jobs:
            end, uid = ended(job), uid_of(job)
            if end and uid in active:
                _forget(status, uid)
                text = f"Saw completed job: {name_of(job)}, condition: {end}"
                self._recorder.event(cron_job, "Normal", "SawCompletedJob", text)
            completed = at(job, "status", "completionTime")
            if end and completed and completed > (status.get("lastSuccessfulTime") or ""):
                status["lastSuccessfulTime"] = completed
        known = {uid_of(j) for j in jobs}
        for reference in status.get("active") or []:
            if reference["uid"] not in known:
                await self._check_missing(cron_job, status, reference)
        return status

    async def _check_missing(self, cron_job: Obj, status: Obj, reference: Obj) -> None:
        try:
            await self._client.get(JOBS, reference["name"], namespace_of(cron_job))
        except NotFound:
            text = f"Active job went missing: {reference['name']}"
            self._recorder.event(cron_job, "Normal", "MissingJob", text)
            _forget(status, reference["uid"])

    def _zone(self, cron_job: Obj) -> tzinfo | None:
        """None when this machine does not know the zone."""
        name = at(cron_job, "spec", "timeZone")
        if not name:
            return UTC
        from zoneinfo import ZoneInfo

        try:
            return ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            return None

    def _seconds_to_next(self, cron_job: Obj) -> float | None:
        zone, now = self._zone(cron_job), self._clock.now()
        try:
            schedule = cron_schedule.parse(cron_job["spec"]["schedule"], zone or UTC)
        except ValueError:
            return None
        moment = schedule.next(now)
        return (moment - now).total_seconds() + DELTA_SECONDS if moment is not None else None

    async def _fire(self, cron_job: Obj, status: Obj, jobs: Sequence[Obj]) -> float | None:
        """Make the Job that is due; seconds until the next. Raises ApiError."""
        zone = self._zone(cron_job)
        if zone is None:
            name = at(cron_job, "spec", "timeZone")
            text = f'invalid timeZone: "{name}": unknown time zone {name}'
            self._recorder.event(cron_job, "Warning", "UnknownTimeZone", text)
            return None
        if at(cron_job, "spec", "suspend", default=False):
            return None
        text = cron_job["spec"]["schedule"]
        try:
            schedule = cron_schedule.parse(text, zone)
        except ValueError as exc:
            message = f'unparseable schedule: "{text}" : {exc}'
            self._recorder.event(cron_job, "Warning", "UnparseableSchedule", message)
            return None
        moment = self._due(cron_job, schedule)
        if moment is not None and await self._may_start(cron_job, status, jobs, moment):
            await self._start(cron_job, status, job_of(cron_job, moment, zone), moment)
        return self._seconds_to_next(cron_job)

    def _due(
        self, cron_job: Obj, schedule: cron_schedule.Schedule | cron_schedule.Every
    ) -> datetime | None:
        now = self._clock.now()
        due = cron_schedule.last_firing(schedule, earliest(cron_job, now), now)
        if due.missed > cron_schedule.MISSED_MAX:
            text = (
                f"too many missed start times: {due.missed}. Set or decrease"
                " .spec.startingDeadlineSeconds or check clock skew"
            )
            self._recorder.event(cron_job, "Warning", "TooManyMissedTimes", text)
        if due.at is not None and is_too_late(cron_job, due.at, now):
            shown = due.at.strftime("%a, %d %b %Y %H:%M:%S UTC")
            text = f"Missed scheduled time to start a job: {shown}"
            self._recorder.event(cron_job, "Warning", "MissSchedule", text)
            return None
        return due.at

    async def _may_start(
        self, cron_job: Obj, status: Obj, jobs: Sequence[Obj], moment: datetime
    ) -> bool:
        """Also makes room where the policy says so. Raises ApiError."""
        active = status.get("active") or []
        name = job_name(cron_job, moment)
        if any(r["name"] == name for r in active):
            return False
        if status.get("lastScheduleTime") == rfc3339(moment):
            return False
        policy = at(cron_job, "spec", "concurrencyPolicy")
        if policy == "Forbid" and active:
            text = (
                "Not starting job because prior execution is running and concurrency policy"
                " is Forbid"
            )
            self._recorder.event(cron_job, "Normal", "JobAlreadyActive", text)
            return False
        if policy == "Replace":
            running = {r["uid"] for r in active}
            for job in [j for j in jobs if uid_of(j) in running]:
                await self._delete_job(cron_job, status, job)
        return True

    async def _start(self, cron_job: Obj, status: Obj, job: Obj, moment: datetime) -> None:
        try:
            created = await self._client.create(JOBS, job)
        except AlreadyExists:
            created = await self._client.get(JOBS, name_of(job), namespace_of(job))
            if (controller_of(created) or {}).get("uid") != uid_of(cron_job):
                raise
        except ApiError as exc:
            if not is_namespace_ending(exc):
                text = f"Error creating job: {exc.message}"
                self._recorder.event(cron_job, "Warning", "FailedCreate", text)
            raise
        else:
            text = f"Created job {name_of(created)}"
            self._recorder.event(cron_job, "Normal", "SuccessfulCreate", text)
        if not ended(created):
            status["active"] = [*(status.get("active") or []), object_reference(created)]
        status["lastScheduleTime"] = rfc3339(moment)

    async def _delete_job(self, cron_job: Obj, status: Obj, job: Obj) -> None:
        """Raises ApiError."""
        try:
            await self._client.delete(
                JOBS, name_of(job), namespace_of(job), propagation="Background"
            )
        except NotFound:
            pass
        except ApiError as exc:
            text = f"Deleted job: {exc.message}"
            self._recorder.event(cron_job, "Warning", "FailedDelete", text)
            raise
        _forget(status, uid_of(job))
        self._recorder.event(cron_job, "Normal", "SuccessfulDelete", f"Deleted job {name_of(job)}")

    async def _write_status(self, cron_job: Obj, status: Obj) -> None:
        if status == (cron_job.get("status") or {}):
            return
        changed = {**cron_job, "status": status}
        try:
            await self._client.update(CRON_JOBS, changed, subresource="status")
        except NotFound:
            return


def _when(cron_job: Obj) -> tuple[str | None, str | None]:
    return at(cron_job, "spec", "schedule"), at(cron_job, "spec", "timeZone")


def _forget(status: Obj, uid: str) -> None:
    left = [r for r in status.get("active") or [] if r["uid"] != uid]
    if left:
        status["active"] = left
    else:
        status.pop("active", None)
