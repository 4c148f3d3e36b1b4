"""Rows of a Table from a kind's columns. Upstream: pkg/printers, pkg/printers/tablegenerator.go."""

from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from tiphys.api.meta import Obj, metadata, parse_time
from tiphys.api.resources import ResourceInfo
from tiphys.apiserver.resources.resource import Column, Resource

_NAME_TEXT: Final = (
    "Name must be unique within a namespace. Is required when creating resources, although some"
    " resources may allow a client to request the generation of an appropriate name automatically."
    " Name is primarily intended for creation idempotence and configuration definition. Cannot be"
    " updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/"
    "names#names"
)
_CREATED_TEXT: Final = (
    "CreationTimestamp is a timestamp representing the server time when this object was created."
    " It is not guaranteed to be set in happens-before order across separate operations. Clients"
    " may not set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the"
    " system. Read-only. Null for lists. More info: https://git.k8s.io/community/contributors/"
    "devel/sig-architecture/api-conventions.md#metadata"
)


def human_duration(seconds: int) -> str:
    """`5s`, `3m20s`, `5h10m`, `2d3h`, `400d`, `3y40d`. Upstream: util/duration HumanDuration."""
    if seconds < -1:
        return "<invalid>"
    if seconds < 0:
        return "0s"
    if seconds < 60 * 2:
        return f"{seconds}s"
    minutes = seconds // 60
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if minutes < 60 * 3:
        return f"{minutes}m"
    hours = minutes // 60
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if hours < 24 * 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    if hours < 24 * 365 * 2:
        return f"{days}d"
    years = days // 365
    if hours < 24 * 365 * 8:
        return f"{years}y{days % 365}d" if days % 365 else f"{years}y"
    return f"{years}y"


def _age(obj: Obj, now: datetime) -> str:
    created = metadata(obj).get("creationTimestamp")
    if not created:
        return "<unknown>"
    return human_duration(int((now - parse_time(created)).total_seconds()))


def _created(obj: Obj, now: datetime) -> Any:
    # Go writes its zero time for an object that was never made (a bookmark).
    return metadata(obj).get("creationTimestamp") or "0001-01-01T00:00:00Z"


NAME: Final = Column(
    "Name", lambda obj, now: metadata(obj).get("name", ""), format="name", description=_NAME_TEXT
)
SCALE_NAME: Final = replace(NAME, format="")
AGE: Final = Column("Age", lambda obj, now: _age(obj, now), description=_CREATED_TEXT)
# Kinds without columns of their own show when they were made; clients compute the age.
CREATED_AT: Final = Column("Created At", _created, type="date", description=_CREATED_TEXT)


class Printer:
    """One Table's columns and rows at one moment."""

    def __init__(self, resource: Resource, now: datetime, columns: tuple[Column, ...] = ()) -> None:
        """`columns` are those of a subresource, which has a form of its own."""
        self._row_conditions = resource.row_conditions
        self._columns = columns or resource.columns or (NAME, CREATED_AT)
        self._now = now

    def definitions(self) -> list[Obj]:
        return [
            {
                "name": c.name,
                "type": c.type,
                "format": c.format,
                "description": c.description,
                "priority": c.priority,
            }
            for c in self._columns
        ]

    def row(self, obj: Obj, sent: Obj | None, *, info: ResourceInfo) -> Obj:
        row: Obj = {"cells": [c.cell(obj, self._now) for c in self._columns]}
        if conditions := self._row_conditions(obj):
            row["conditions"] = conditions
        return row | {"object": sent}
