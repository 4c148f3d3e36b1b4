"""The columns of Tables: their definitions from columns.txt, joined with each kind's cells.

Format of columns.txt: `$n text` names a description that several columns share;
`@@group/version/plural` begins a kind; then one `Name|type|format|priority|description` a column,
type string and priority 0 left out.

Upstream: pkg/printers/internalversion/printers.go.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from importlib import resources
from typing import Any, Final

from tiphys.api.meta import Obj
from tiphys.api.resources import ResourceInfo
from tiphys.apiserver.resources.resource import Column

Cell = Callable[[Obj, datetime], Any]


def load(text: str) -> dict[str, list[tuple[str, str, str, int, str]]]:
    """`group/version/plural` -> (name, type, format, priority, description) of each column."""
    texts: dict[str, str] = {}
    found: dict[str, list[tuple[str, str, str, int, str]]] = {}
    columns: list[tuple[str, str, str, int, str]] = []
    for line in text.splitlines():
        if line.startswith("$"):
            key, _, description = line.partition(" ")
            texts[key] = _unescaped(description)
        elif line.startswith("@@"):
            columns = found.setdefault(line[2:], [])
        elif line:
            name, kind, format_, priority, description = line.split("|", 4)
            given = texts.get(description) or _unescaped(description)
            columns.append((name, kind or "string", format_, int(priority or 0), given))
    return found


def _unescaped(text: str) -> str:
    return text.replace("\\n", "\n").replace("\\\\", "\\")


_DEFINITIONS: Final[Mapping[str, list[tuple[str, str, str, int, str]]]] = load(
    resources.files("tiphys.apiserver.resources").joinpath("columns.txt").read_text("utf-8")
)


def columns_of(info: ResourceInfo, *cells: Cell) -> tuple[Column, ...]:
    """The columns of a kind, given its cells in their order. Raises ValueError on a wrong count."""
    key = f"{info.group}/{info.version}/{info.plural}" if info.group else f"v1/{info.plural}"
    definitions = _DEFINITIONS[key]
    return tuple(
        Column(name, cell, type=kind, format=format_, description=description, priority=priority)
        for (name, kind, format_, priority, description), cell in zip(
            definitions, cells, strict=True
        )
    )
