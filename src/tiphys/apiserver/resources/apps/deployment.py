"""Deployment. Upstream: pkg/registry/apps/deployment/strategy.go, pkg/apis/apps/v1/defaults.go."""

from datetime import datetime
from typing import Any

from tiphys.api.meta import Obj, at
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.pod_template import default_template
from tiphys.apiserver.resources.resource import Resource

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

DEPLOYMENT = Resource(
    _INFO,
    default=default,
    before_create=generation.created({}),
    before_update=generation.updated_with_annotations,
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
