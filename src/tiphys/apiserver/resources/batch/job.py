"""Job. Upstream: pkg/registry/batch/job."""

from datetime import datetime
from typing import Any, Final

from tiphys.api.meta import Obj, at, condition, parse_time
from tiphys.api.resources import built_in
from tiphys.apiserver.object_meta import validate_labels
from tiphys.apiserver.printing import human_duration
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.batch import job_rules, job_status_rules
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.pod_template import default_template
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules import warnings

_INFO = built_in("batch", "v1", "jobs")


def default_spec(spec: Obj) -> None:
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    spec.setdefault("backoffLimit", 2**31 - 1 if "backoffLimitPerIndex" in spec else 6)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    policy = "Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed"
    spec.setdefault("podReplacementPolicy", policy)
    spec.setdefault("manualSelector", False)
    default_job_parts(spec)


def default_job_parts(spec: Obj) -> None:
    """What a job's spec has defaulted in a cron job's template too."""
    default_template(spec.get("template"))
    for rule in at(spec, "podFailurePolicy", "rules", default=[]):
        for pattern in rule.get("onPodConditions") or ():
            pattern["status"] = pattern.get("status") or "True"


def default(job: Obj) -> None:
    labels = at(job, "spec", "template", "metadata", "labels")
    if labels and not job["metadata"].get("labels"):
        # One map, as upstream: the generated ones show too. Who wants a name gets a copy.
        shared = bool(job["metadata"].get("name"))
        job["metadata"]["labels"] = labels if shared else dict(labels)
    default_spec(job["spec"])
    job.setdefault("status", {})


def before_create(job: Obj) -> None:
    generation.start(job)
    job["status"] = {}
    if not job["spec"].get("manualSelector"):
        _generate_selector(job)


def _generate_selector(job: Obj) -> None:
    uid, name = job["metadata"].get("uid", ""), job["metadata"].get("name", "")
    labels = job["spec"]["template"]["metadata"].setdefault("labels", {})
    if labels.get("controller-uid", uid) != uid or "controller-uid" not in labels:
        labels.setdefault("controller-uid", uid)
    labels.setdefault("job-name", name)
    labels.setdefault("batch.kubernetes.io/job-name", name)
    labels.setdefault("batch.kubernetes.io/controller-uid", uid)
    selector = job["spec"].setdefault("selector", {})
    selector.setdefault("matchLabels", {}).setdefault("batch.kubernetes.io/controller-uid", uid)
    _share_labels(job)


def _share_labels(job: Obj) -> None:
    """Upstream copies them after validation, which tells of a bad one in the template only."""
    labels = at(job, "spec", "template", "metadata", "labels", default={})
    if not job["metadata"].get("labels") and not validate_labels(labels):
        job["metadata"]["labels"] = dict(labels)


def before_status_update(job: Obj, old: Obj) -> None:
    generation.status_updated(job, old)
    _share_labels(job)


def _status(job: Obj, _: datetime) -> Any:
    for kind, text in _ENDED.items():
        if (condition(job, kind) or {}).get("status") == "True":
            return text
    if job["metadata"].get("deletionTimestamp"):
        return "Terminating"
    for kind in ("Suspended", "FailureTarget", "SuccessCriteriaMet"):
        if (condition(job, kind) or {}).get("status") == "True":
            return kind
    return "Running"


_DELETE_WARNING: Final = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background"
    " to remove them or set propagationPolicy=Orphan to suppress this warning"
)
_ENDED: Final = {"Complete": "Complete", "Failed": "Failed"}


def _completions(job: Obj, _: datetime) -> Any:
    succeeded = at(job, "status", "succeeded", default=0)
    wanted = at(job, "spec", "completions")
    if wanted is not None:
        return f"{succeeded}/{wanted}"
    parallelism = at(job, "spec", "parallelism", default=0)
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _duration(job: Obj, now: datetime) -> Any:
    started = at(job, "status", "startTime")
    if not started:
        return ""
    ended = at(job, "status", "completionTime")
    moment = parse_time(ended) if ended else now
    return human_duration(int((moment - parse_time(started)).total_seconds()))


JOB = Resource(
    _INFO,
    validate=job_rules.validate,
    validate_update=job_rules.validate_update,
    update_order=("whole", "meta", "change"),
    validate_status_update=job_status_rules.validate_status_update,
    warnings=warnings.of_job("spec"),
    columns=columns_of(
        _INFO,
        cells.name,
        _status,
        _completions,
        _duration,
        cells.age,
        cells.container_names("spec", "template", "spec"),
        cells.container_images("spec", "template", "spec"),
        cells.selector("spec", "selector"),
    ),
    default=default,
    before_create=before_create,
    before_update=generation.updated,
    before_status_update=before_status_update,
    orphans_by_default=True,  # As v1 always did.
    delete_warning=_DELETE_WARNING,
    selectable_fields={"status.successful": lambda o: str(at(o, "status", "succeeded", default=0))},
)
