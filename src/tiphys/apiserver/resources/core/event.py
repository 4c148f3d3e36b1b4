"""Event of the core group, and the cells that events.k8s.io shares with it.

Upstream: pkg/registry/core/event/strategy.go, pkg/printers (printEvent).
"""

from datetime import datetime
from typing import Any

from tiphys.api.meta import Obj, at
from tiphys.api.names import path_segment_name
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells
from tiphys.apiserver.resources.columns import Cell, columns_of
from tiphys.apiserver.resources.core import event_rules
from tiphys.apiserver.resources.resource import Resource

_INFO = built_in("", "v1", "events")


def _first_seen(event: Obj, now: datetime) -> Any:
    return cells.since(event.get("firstTimestamp") or event.get("eventTime"), now)


def _last_seen(event: Obj, now: datetime) -> Any:
    if event.get("series"):
        return cells.since(event["series"].get("lastObservedTime"), now)
    if event.get("lastTimestamp"):
        return cells.since(event["lastTimestamp"], now)
    return _first_seen(event, now)


def _target(event: Obj, _: datetime) -> Any:
    about = event.get("involvedObject") or {}
    kind = about.get("kind", "").lower()
    return f"{kind}/{about['name']}" if about.get("name") else kind


def _source(event: Obj, _: datetime) -> Any:
    source = event.get("source") or {}
    component = source.get("component") or event.get("reportingComponent", "")
    host = source.get("host") or event.get("reportingInstance", "")
    return f"{component}, {host}" if host else component


def _count(event: Obj, _: datetime) -> Any:
    if event.get("series"):
        return event["series"].get("count", 0)
    return event.get("count") or 1


CELLS: tuple[Cell, ...] = (
    _last_seen,
    cells.value("type"),
    cells.value("reason"),
    _target,
    cells.value("involvedObject", "fieldPath"),
    _source,
    lambda event, _: event.get("message", "").strip(),
    _first_seen,
    _count,
    cells.name,
)


def _about(field: str) -> Any:
    return lambda event: str(at(event, "involvedObject", field, default=""))


EVENT = Resource(
    _INFO,
    validate=event_rules.core_event,
    validate_name=path_segment_name,  # Upstream has no rules of the kind's own for it.
    columns=columns_of(_INFO, *CELLS),
    allow_create_on_update=True,
    selectable_fields={
        **{
            f"involvedObject.{field}": _about(field)
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
        "reportingComponent": lambda e: str(e.get("reportingComponent", "")),
        "source": lambda e: str(
            at(e, "source", "component", default="") or e.get("reportingComponent", "")
        ),
        "type": lambda e: str(e.get("type", "")),
    },
)
