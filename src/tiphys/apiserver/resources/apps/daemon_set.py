"""DaemonSet. Upstream: pkg/registry/apps/daemonset."""

from typing import Final

from tiphys.api.meta import Obj
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.pod_template import default_template
from tiphys.apiserver.resources.resource import Resource

_INFO = built_in("apps", "v1", "daemonsets")


EMPTY_STATUS: Final[Obj] = {
    "currentNumberScheduled": 0,
    "numberMisscheduled": 0,
    "desiredNumberScheduled": 0,
    "numberReady": 0,
}


def default(daemon_set: Obj) -> None:
    spec = daemon_set["spec"]
    strategy = spec["updateStrategy"]
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", 1)
        rolling.setdefault("maxSurge", 0)
    spec.setdefault("revisionHistoryLimit", 10)
    default_template(spec.get("template"))
    daemon_set.setdefault("status", dict(EMPTY_STATUS))


def before_create(daemon_set: Obj) -> None:
    daemon_set["status"] = dict(EMPTY_STATUS)
    generation.start(daemon_set)
    daemon_set["metadata"].setdefault("annotations", {}).setdefault(
        "deprecated.daemonset.template.generation", "1"
    )


def before_update(new: Obj, old: Obj) -> None:
    generation.updated(new, old)
    annotation = "deprecated.daemonset.template.generation"
    before = (old["metadata"].get("annotations") or {}).get(annotation)
    if before is not None:
        changed = new["spec"].get("template") != old["spec"].get("template")
        now = str(int(before) + 1) if changed and before.isdigit() else before
        new["metadata"].setdefault("annotations", {})[annotation] = now


DAEMON_SET = Resource(
    _INFO,
    columns=columns_of(
        _INFO,
        cells.name,
        cells.value("status", "desiredNumberScheduled", default=0),
        cells.value("status", "currentNumberScheduled", default=0),
        cells.value("status", "numberReady", default=0),
        cells.value("status", "updatedNumberScheduled", default=0),
        cells.value("status", "numberAvailable", default=0),
        cells.label_map("spec", "template", "spec", "nodeSelector"),
        cells.age,
        cells.container_names("spec", "template", "spec"),
        cells.container_images("spec", "template", "spec"),
        cells.selector("spec", "selector"),
    ),
    default=default,
    before_create=before_create,
    before_update=before_update,
    before_status_update=generation.status_updated,
)
