"""Event of events.k8s.io: the same stored objects as the core group's, under other names.

Upstream: pkg/apis/events/v1/conversion.go.
"""

from typing import Any, Final

from tiphys.api.field_errors import FieldError
from tiphys.api.meta import Obj
from tiphys.api.resources import built_in
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.core.event import CELLS
from tiphys.apiserver.resources.core.event_rules import changed_event, core_event, new_event
from tiphys.apiserver.resources.resource import Resource

_INFO = built_in("events.k8s.io", "v1", "events")

# events.k8s.io name -> core name.
_NAMES: Final = {
    "reportingController": "reportingComponent",
    "regarding": "involvedObject",
    "note": "message",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_CORE_NAMES: Final = {core: name for name, core in _NAMES.items()}
# What Go writes though it is empty, in each form.
_CORE_ZEROS: Final[Obj] = {
    "involvedObject": {},
    "source": {},
    "firstTimestamp": None,
    "lastTimestamp": None,
    "eventTime": None,
    "reportingComponent": "",
    "reportingInstance": "",
}
_ZEROS: Final[Obj] = {
    "regarding": {},
    "deprecatedSource": {},
    "deprecatedFirstTimestamp": None,
    "deprecatedLastTimestamp": None,
    "eventTime": None,
}


def to_core(event: Obj) -> Obj:
    """A new object in the core group's form, which is the stored one."""
    found = {_NAMES.get(k, k): v for k, v in event.items()}
    return _CORE_ZEROS | found | {"apiVersion": "v1", "kind": "Event"}


def from_core(event: Obj) -> Obj:
    """A new object in the form of events.k8s.io."""
    found = {_CORE_NAMES.get(k, k): v for k, v in event.items()}
    for name in ("reportingController", "reportingInstance"):
        if not found.get(name):
            found.pop(name, None)
    return _ZEROS | found | {"apiVersion": "events.k8s.io/v1", "kind": "Event"}


def _regarding(field: str) -> Any:
    return lambda event: str((event.get("regarding") or {}).get(field, ""))


def validate(event: Obj) -> list[FieldError]:
    return core_event(to_core(event), "reportingController")


def validate_create(event: Obj) -> list[FieldError]:
    return new_event(to_core(event))


def validate_update(new: Obj, old: Obj) -> list[FieldError]:
    return changed_event(to_core(new), to_core(old))


EVENT = Resource(
    _INFO,
    validate=validate,
    validate_create=validate_create,
    validate_update=validate_update,
    error_group="",
    columns=columns_of(
        _INFO, *[lambda event, now, cell=cell: cell(to_core(event), now) for cell in CELLS]
    ),
    allow_create_on_update=True,
    selectable_fields={
        **{
            f"regarding.{field}": _regarding(field)
            for field in (
                "kind",
                "namespace",
                "name",
                "uid",
                "apiVersion",
                "resourceVersion",
                "fieldPath",
            )
        },
        "reason": lambda e: str(e.get("reason", "")),
        "reportingController": lambda e: str(e.get("reportingController", "")),
        "type": lambda e: str(e.get("type", "")),
    },
)
