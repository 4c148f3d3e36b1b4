"""Columns of a Table from `additionalPrinterColumns`.

Upstream: apiextensions-apiserver pkg/registry/customresource/tableconvertor.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import orjson

from tiphys.api.meta import Obj, parse_time
from tiphys.apiserver.custom_resources.json_path import BadPath, find, parse
from tiphys.apiserver.printing import AGE, NAME, human_duration
from tiphys.apiserver.resources.resource import Column

_DESCRIPTION: Final = "Custom resource definition column (in JSONPath format): {}"
CREATED_PATH: Final = ".metadata.creationTimestamp"


def columns(version: Obj) -> tuple[Column, ...]:
    """Of a version of a definition: the name first, then its own, or the age."""
    own = version.get("additionalPrinterColumns")
    if not own:
        age = Column("Age", _cell(CREATED_PATH, "date"), type="date", description=AGE.description)
        return NAME, age
    return NAME, *(_column(c) for c in own)


def _column(given: Obj) -> Column:
    path = given.get("jsonPath", "")
    return Column(
        given.get("name", ""),
        _cell(path, given.get("type", "")),
        type=given.get("type", ""),
        format=given.get("format", ""),
        description=given.get("description") or _DESCRIPTION.format(path),
        priority=given.get("priority", 0),
    )


def _cell(path: str, kind: str) -> Callable[[Obj, datetime], Any]:
    try:
        steps = parse(path)
    except BadPath:
        return lambda obj, now: None  # Upstream leaves such a cell empty as well.

    def cell(obj: Obj, now: datetime) -> Any:
        values = find(steps, obj)
        if not values or values[0] is None:
            return None
        if kind == "string":
            return _joined(values)
        return _of_kind(values[0], kind, now)

    return cell


def _of_kind(value: Any, kind: str, now: datetime) -> Any:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    match kind:
        case "integer":
            return int(value) if is_number else None
        case "number":
            return float(value) if is_number else None
        case "boolean":
            return value if isinstance(value, bool) else None
        case "date":
            return _since(value, now)
        case _:
            return None


def _since(value: Any, now: datetime) -> Any:
    if not isinstance(value, str):
        return "<invalid>"
    try:
        return human_duration(int((now - parse_time(value)).total_seconds()))
    except ValueError:
        return "<invalid>"


def _joined(values: list[Any]) -> str:
    return ",".join(map(_text, values))


def _text(value: Any) -> str:
    """As upstream's JSONPath prints one value."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "<none>"
    if isinstance(value, (dict, list)):
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    return str(value)
