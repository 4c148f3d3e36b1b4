"""Kinds that are served in two groups or versions and stored in one."""

from collections.abc import Mapping
from typing import Final

from tiphys.apiserver.endpoint import Conversion
from tiphys.apiserver.resources.autoscaling import conversion
from tiphys.apiserver.resources.events import event

_REFERENCE: Final = (
    *("kind", "namespace", "name", "uid", "apiVersion"),
    *("resourceVersion", "fieldPath"),
)
_EVENT_FIELDS: Final = {f"regarding.{f}": f"involvedObject.{f}" for f in _REFERENCE} | {
    "reportingController": "reportingComponent"
}
CONVERSIONS: Final[Mapping[tuple[str, str, str], Conversion]] = {
    ("autoscaling", "v1", "horizontalpodautoscalers"): Conversion(
        "autoscaling",
        "v2",
        "horizontalpodautoscalers",
        conversion.to_v2,
        conversion.from_v2,
    ),
    ("events.k8s.io", "v1", "events"): Conversion(
        "", "v1", "events", event.to_core, event.from_core, _EVENT_FIELDS
    ),
}
