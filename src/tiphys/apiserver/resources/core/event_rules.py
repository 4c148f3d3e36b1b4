"""Validation of Events in both groups. Upstream: pkg/apis/core/validation/events.go."""

from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, invalid, required
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.rules.texts import IMMUTABLE, each, label_name

_LENGTHS: Final = (("reportingInstance", 128), ("action", 128), ("reason", 128), ("message", 1024))
_OPTIONAL: Final = frozenset({"message"})
# In upstream's order, which looks at the reason twice.
_FIXED: Final = (
    "involvedObject", "reason", "message", "source", "firstTimestamp", "lastTimestamp", "count",
    "reason", "type", "eventTime", "action", "related", "reportingComponent", "reportingInstance",
)  # fmt: skip
_REFERENCE: Final = {
    "Kind": "kind", "Namespace": "namespace", "Name": "name", "UID": "uid",
    "APIVersion": "apiVersion", "ResourceVersion": "resourceVersion", "FieldPath": "fieldPath",
}  # fmt: skip
_MISMATCH: Final = "does not match event.namespace"


def core_event(event: Obj, controller_field: str = "reportingComponent") -> list[FieldError]:
    """Of an event in the core group's form."""
    namespace = event["metadata"].get("namespace", "")
    about = (event.get("involvedObject") or {}).get("namespace", "")
    errors: list[FieldError] = []
    if not event.get("eventTime"):
        allowed = {"", "default"} if not about else {about}
        if namespace not in allowed:
            errors.append(invalid("involvedObject.namespace", about, _MISMATCH))
    else:
        if not about and namespace not in {"default", "kube-system"}:
            errors.append(invalid("involvedObject.namespace", about, _MISMATCH))
        controller = event.get("reportingComponent", "")
        if not controller:
            errors.append(required(controller_field))
        errors += label_name(controller, controller_field)
        for field, length_max in _LENGTHS:
            value = event.get(field, "")
            if not value and field not in _OPTIONAL:
                errors.append(required(field))
            if len(value.encode()) > length_max:
                text = f"can have at most {length_max} characters"
                errors.append(invalid(field, "", text))
    return errors + each("namespace", namespace, names.dns_subdomain(namespace))


def new_event(event: Obj) -> list[FieldError]:
    """What is asked besides of one made through events.k8s.io, in the core group's form."""
    errors = _series(event.get("series"))
    if not event.get("eventTime"):
        errors.append(required("eventTime"))
    kind = event.get("type", "")
    if kind not in {"Normal", "Warning"}:
        errors.append(invalid("type", "", f"has invalid value: {kind}"))
    source = event.get("source") or {}
    for field, value in (
        ("firstTimestamp", event.get("firstTimestamp")),
        ("lastTimestamp", event.get("lastTimestamp")),
        ("count", event.get("count")),
        ("source", source.get("component") or source.get("host")),
    ):
        if value:
            errors.append(invalid(field, "", "needs to be unset"))
    return errors


def _series(series: Obj | None) -> list[FieldError]:
    if series is None:
        return []
    errors: list[FieldError] = []
    if series.get("count", 0) < 2:
        errors.append(invalid("series.count", "", "should be at least 2"))
    if not series.get("lastObservedTime"):
        errors.append(required("series.lastObservedTime"))
    return errors


def changed_event(new: Obj, old: Obj) -> list[FieldError]:
    """Through events.k8s.io only the series may change. Both in the core group's form."""
    errors = [] if new.get("series") == old.get("series") else _series(new.get("series"))
    for field in _FIXED:
        if (new.get(field) or None) != (old.get(field) or None):
            shown = new.get(field)
            if field in {"involvedObject", "related"} and shown is not None:
                shown = {go: shown.get(name, "") for go, name in _REFERENCE.items()}
            path = "reportingController" if field == "reportingComponent" else field
            errors.append(invalid(path, shown, IMMUTABLE))
    return errors
