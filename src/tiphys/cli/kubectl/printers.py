"""Output as kubectl prints it: tables, YAML, JSON, names."""

import json
from collections.abc import Sequence
from typing import Any

from tiphys.api.meta import Obj, name_of
from tiphys.cli.kubectl.resource_args import Kind
from tiphys.cli.output import CommandError

FORMATS = ("", "wide", "yaml", "json", "name")


def check_format(output: str) -> None:
    """Raises CommandError as kubectl words it."""
    if output not in FORMATS:
        known = ", ".join(f for f in FORMATS if f)
        raise CommandError(
            f'unable to match a printer suitable for the output format "{output}"',
            fix=f"allowed formats here are: {known}",
        )


def columns(table: Obj, *, wide: bool) -> list[int]:
    """The indices of the columns to show."""
    found = table.get("columnDefinitions") or []
    return [i for i, c in enumerate(found) if wide or not c.get("priority")]


def table_rows(
    tables: Sequence[tuple[Kind, Obj]],
    *,
    wide: bool,
    all_namespaces: bool,
    with_kind: bool,
) -> tuple[list[str], list[list[str]]]:
    """Header and rows of one or several Tables of the same columns."""
    header: list[str] = []
    rows: list[list[str]] = []
    for kind, table in tables:
        chosen = columns(table, wide=wide)
        header = [table["columnDefinitions"][i]["name"].upper() for i in chosen]
        for row in table.get("rows") or []:
            cells = [_cell(row["cells"][i]) for i in chosen]
            if with_kind:
                cells[0] = f"{kind.qualified}/{cells[0]}"
            if all_namespaces:
                metadata = (row.get("object") or {}).get("metadata") or {}
                cells.insert(0, metadata.get("namespace", ""))
            rows.append(cells)
    if all_namespaces:
        header.insert(0, "NAMESPACE")
    return header, rows


def _cell(value: Any) -> str:
    if value is None:
        return "<none>"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).split("\n")[0]


def as_text(objects: Sequence[Obj], output: str, *, single: bool) -> str:
    """JSON or YAML: one object itself, several as a List."""
    what: Any = objects[0] if single else _list(objects)
    if output == "json":
        return json.dumps(what, indent=4, sort_keys=True, ensure_ascii=False)
    from tiphys.codec import yaml

    return yaml.encode(what).decode().rstrip("\n")


def _list(objects: Sequence[Obj]) -> Obj:
    return {
        "apiVersion": "v1",
        "items": list(objects),
        "kind": "List",
        "metadata": {"resourceVersion": ""},
    }


def named(kind: Kind, obj: Obj) -> str:
    """`pod/a`, `deployment.apps/web`."""
    return f"{kind.qualified}/{name_of(obj)}"
