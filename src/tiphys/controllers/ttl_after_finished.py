"""TTL after finished: Jobs go some time after they are over.

Upstream: pkg/controller/ttlafterfinished/ttlafterfinished_controller.go.
Reads Job. Deletes Job.
"""

from datetime import datetime, timedelta

from tiphys.api.errors import NotFound
from tiphys.api.meta import Obj, ObjectKey, at, condition, is_terminating, parse_time, uid_of
from tiphys.client.controller import Context, KeyedController
from tiphys.controllers.kinds import JOBS


def seconds_left(job: Obj, now: datetime) -> float | None:
    """Seconds until the Job goes; None = it stays, or is not over."""
    seconds = at(job, "spec", "ttlSecondsAfterFinished")
    if seconds is None or is_terminating(job):
        return None
    for kind in ("Complete", "Failed"):
        found = condition(job, kind)
        if found is not None and found.get("status") == "True":
            since = parse_time(found["lastTransitionTime"])
            return max((since + timedelta(seconds=int(seconds)) - now).total_seconds(), 0.0)
    return None


class TtlAfterFinishedController(KeyedController):
    name = "ttl-after-finished-controller"

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._client = context.client_for("ttl-after-finished-controller")
        self._clock = context.clock
        self._jobs = context.informers.of(JOBS)
        self._jobs.on_change(self._changed)

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is not None and at(new, "spec", "ttlSecondsAfterFinished") is not None:
            self.enqueue(old, new)

    async def reconcile(self, key: ObjectKey) -> float | None:
        job = self._jobs.get(key)
        left = seconds_left(job, self._clock.now()) if job is not None else None
        if job is None or left is None:
            return None
        if left > 0:
            return left
        try:
            await self._client.delete(
                JOBS, key.name, key.namespace, propagation="Foreground", uid=uid_of(job)
            )
        except NotFound:
            return None
        return None
