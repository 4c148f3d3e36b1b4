"""Cells that many kinds share. Upstream: pkg/printers/internalversion/printers.go."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tiphys.api.labels import format_object, from_set
from tiphys.api.meta import Obj, at, metadata, parse_time
from tiphys.apiserver.printing import human_duration
from tiphys.apiserver.resources.columns import Cell


def since(moment: str | None, now: datetime) -> str:
    """How long ago, in upstream's short form; `<unknown>` for no moment."""
    if not moment:
        return "<unknown>"
    return human_duration(int((now - parse_time(moment)).total_seconds()))


def name(obj: Obj, _: datetime) -> Any:
    return metadata(obj).get("name", "")


def age(obj: Obj, now: datetime) -> Any:
    return since(metadata(obj).get("creationTimestamp"), now)


def value(*path: str | int, default: Any = "") -> Cell:
    """What is at a path, or a default."""
    return lambda obj, _: at(obj, *path, default=default)


def count(*path: str | int) -> Cell:
    """How many elements a list or map has."""
    return lambda obj, _: len(at(obj, *path, default=()))


def container_names(*path: str) -> Cell:
    """The names of a pod template's containers; path leads to its spec."""
    return lambda obj, _: ",".join(
        c.get("name", "") for c in at(obj, *path, "containers", default=[])
    )


def container_images(*path: str) -> Cell:
    return lambda obj, _: ",".join(
        c.get("image", "") for c in at(obj, *path, "containers", default=[])
    )


def selector(*path: str) -> Cell:
    """A LabelSelector as text."""
    return lambda obj, _: format_object(at(obj, *path))


def label_map(*path: str) -> Cell:
    """Plain labels as text."""
    return lambda obj, _: format_labels(at(obj, *path, default={}))


def format_labels(labels: dict[str, str]) -> str:
    return str(from_set(labels)) or "<none>"


def list_with_more(values: Sequence[str], total: int, shown_max: int = 3) -> str:
    """`a,b,c + 2 more...`, `<unset>` for no values at all."""
    text = ",".join(values[:shown_max]) or "<unset>"
    return f"{text} + {total - shown_max} more..." if total > shown_max else text
