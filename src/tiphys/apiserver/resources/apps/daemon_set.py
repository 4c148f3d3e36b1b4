"""DaemonSet. Upstream: pkg/registry/apps/daemonset."""

import re
from typing import Final

from tiphys.api.field_errors import FieldError, invalid, required
from tiphys.api.go_form import go_form
from tiphys.api.meta import Obj, annotations_of
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.pod_template import default_template
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules import warnings, workload, workload_status
from tiphys.apiserver.resources.rules.texts import is_empty_selector, label_selector, unsupported

_INFO = built_in("apps", "v1", "daemonsets")


_TEMPLATE_GENERATION: Final = "deprecated.daemonset.template.generation"
_NUMBER: Final = re.compile("[0-9]{1,18}")  # Digits that fit an int64, and so does the next one.
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
    notes = daemon_set["metadata"].setdefault("annotations", {})
    if not _is_counted(notes.get(_TEMPLATE_GENERATION, "")):
        notes[_TEMPLATE_GENERATION] = "1"


def _is_counted(number: str) -> bool:
    return _NUMBER.fullmatch(number) is not None and int(number) > 0


def before_update(new: Obj, old: Obj) -> None:
    generation.updated(new, old)
    before = annotations_of(old).get(_TEMPLATE_GENERATION)
    if before is not None:
        changed = new["spec"].get("template") != old["spec"].get("template")
        now = str(int(before) + 1) if changed and _NUMBER.fullmatch(before) else before
        new["metadata"].setdefault("annotations", {})[_TEMPLATE_GENERATION] = now


def before_status_update(new: Obj, old: Obj) -> None:
    """Upstream keeps the number in the spec, whose annotation only this version shows."""
    generation.status_updated(new, old)
    before = annotations_of(old).get(_TEMPLATE_GENERATION)
    if before is not None:
        new["metadata"].setdefault("annotations", {}).setdefault(_TEMPLATE_GENERATION, before)


def validate(daemon_set: Obj) -> list[FieldError]:
    spec = daemon_set["spec"]
    selector, template = spec.get("selector"), spec.get("template")
    errors = label_selector(selector, "spec.selector")
    errors += workload.template_matches(selector, template, "spec.template")
    if selector is not None and is_empty_selector(selector):
        errors.append(invalid("spec.selector", {}, "empty selector is invalid for daemonset"))
    errors += workload.template(template, "spec.template")
    errors += workload.always_restarts(template, "spec.template", "DaemonSet")
    errors += workload.not_negative_at(spec, "spec", "minReadySeconds")
    errors += _strategy(spec.get("updateStrategy") or {}, "spec.updateStrategy")
    return errors + workload.not_negative_at(spec, "spec", "revisionHistoryLimit")


def _strategy(strategy: Obj, path: str) -> list[FieldError]:
    kind = strategy.get("type")
    if kind == "OnDelete":
        return []
    if kind != "RollingUpdate":
        shown = go_form(strategy, "apps.v1.DaemonSetUpdateStrategy")
        return [unsupported(path, shown, ("RollingUpdate", "OnDelete"))]
    rolling = strategy.get("rollingUpdate") or {}
    unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    where = f"{path}.rollingUpdate"
    errors = workload.int_or_percent(unavailable, f"{where}.maxUnavailable")
    errors += workload.at_most_all(unavailable, f"{where}.maxUnavailable")
    errors += workload.int_or_percent(surge, f"{where}.maxSurge")
    errors += workload.at_most_all(surge, f"{where}.maxSurge")
    no_unavailable, no_surge = workload.is_zero(unavailable), workload.is_zero(surge)
    if not no_unavailable and not no_surge:
        text = "may not be set when maxUnavailable is non-zero"
        errors.append(invalid(f"{where}.maxSurge", surge, text))
    elif no_unavailable and no_surge:
        errors.append(required(f"{where}.maxUnavailable", "cannot be 0 when maxSurge is 0"))
    return errors


def _has_new_template(new: Obj, old: Obj) -> bool:
    now, before = (annotations_of(o).get(_TEMPLATE_GENERATION) for o in (new, old))
    return now != before


DAEMON_SET = Resource(
    _INFO,
    warnings=warnings.of_template("spec", "template", is_new=_has_new_template),
    validate=validate,
    validate_update=workload.same_selector,
    update_order=("meta", "change", "whole"),
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
    validate_status_update=workload_status.DAEMON_SET,
    before_status_update=before_status_update,
)
