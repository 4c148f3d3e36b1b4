"""Deployment. Upstream: pkg/registry/apps/deployment/strategy.go, pkg/apis/apps/v1/defaults.go."""

from datetime import datetime
from typing import Any

from tiphys.api.field_errors import FieldError, forbidden, invalid, not_supported
from tiphys.api.go_form import go_form
from tiphys.api.meta import Obj, at
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.pod_template import default_template
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules import warnings, workload, workload_status

_INFO = built_in("apps", "v1", "deployments")


def default(deployment: Obj) -> None:
    spec = deployment["spec"]
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    strategy = spec.setdefault("strategy", {})
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")
    default_template(spec.get("template"))
    deployment.setdefault("status", {})


def _ready(deployment: Obj, _: datetime) -> Any:
    wanted = at(deployment, "spec", "replicas", default=0)
    return f"{at(deployment, 'status', 'readyReplicas', default=0)}/{wanted}"


_TEMPLATE = ("spec", "template", "spec")


def validate(deployment: Obj) -> list[FieldError]:
    spec = deployment["spec"]
    errors = workload.not_negative_at(spec, "spec", "replicas")
    text = "empty selector is invalid for deployment"
    errors += workload.selector(spec.get("selector"), "spec.selector", empty_text=text)
    errors += workload.replicated_template(spec)
    errors += _strategy(spec.get("strategy") or {}, "spec.strategy")
    errors += workload.not_negative_at(
        spec, "spec", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"
    )
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None and deadline <= spec.get("minReadySeconds", 0):
        text = "must be greater than minReadySeconds"
        errors.append(invalid("spec.progressDeadlineSeconds", deadline, text))
    return errors


def _strategy(strategy: Obj, path: str) -> list[FieldError]:
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if kind == "Recreate":
        text = "may not be specified when strategy `type` is 'Recreate'"
        return [] if rolling is None else [forbidden(f"{path}.rollingUpdate", text)]
    if kind != "RollingUpdate":
        shown = go_form(strategy, "apps.v1.DeploymentStrategy")
        return [not_supported(path, shown, ("Recreate", "RollingUpdate"))]
    rolling = rolling or {}
    unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    where = f"{path}.rollingUpdate"
    errors = workload.int_or_percent(unavailable, f"{where}.maxUnavailable")
    errors += workload.int_or_percent(surge, f"{where}.maxSurge")
    if workload.is_zero(unavailable) and workload.is_zero(surge):
        text = "may not be 0 when `maxSurge` is 0"
        errors.append(invalid(f"{where}.maxUnavailable", unavailable, text))
    return errors + workload.at_most_all(unavailable, f"{where}.maxUnavailable")


DEPLOYMENT = Resource(
    _INFO,
    warnings=warnings.of_template("spec", "template", is_named_alike=True),
    validate=validate,
    validate_update=workload.same_selector,
    default=default,
    before_create=generation.created({}),
    before_update=generation.updated_with_annotations,
    validate_status_update=workload_status.DEPLOYMENT,
    before_status_update=generation.status_updated_with_labels,
    columns=columns_of(
        _INFO,
        cells.name,
        _ready,
        cells.value("status", "updatedReplicas", default=0),
        cells.value("status", "availableReplicas", default=0),
        cells.age,
        cells.container_names(*_TEMPLATE),
        cells.container_images(*_TEMPLATE),
        cells.selector("spec", "selector"),
    ),
)
