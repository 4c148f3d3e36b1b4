"""Objects from files, folders and standard input, as -f gives them."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tiphys.api.meta import Obj
from tiphys.cli.output import CommandError

SUFFIXES = (".yaml", ".yml", ".json")


def read(names: Sequence[str]) -> list[Obj]:
    """Every object, lists taken apart. Raises CommandError naming the file."""
    if not names:
        raise CommandError("must specify one of -f and -k")
    found: list[Obj] = []
    for name in names:
        for where, text in _texts(name):
            found += _objects(where, text)
    if not found:
        raise CommandError("no objects passed to apply")
    return found


def _texts(name: str) -> Iterator[tuple[str, str]]:
    if name == "-":
        yield "STDIN", sys.stdin.read()
        return
    path = Path(name)
    try:
        if path.is_dir():
            for inner in sorted(p for p in path.iterdir() if p.suffix in SUFFIXES):
                yield str(inner), inner.read_text()
        else:
            yield name, path.read_text()
    except FileNotFoundError as exc:
        raise CommandError(f'the path "{name}" does not exist') from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise CommandError(f'cannot read "{name}": {exc}') from exc


def _objects(where: str, text: str) -> Iterator[Obj]:
    from tiphys.codec import yaml

    try:
        documents = list(yaml.decode_all(text))
    except ValueError as exc:
        raise CommandError(f"error parsing {where}: {exc}") from exc
    for document in documents:
        if document is None:
            continue
        if not isinstance(document, dict) or not document.get("kind"):
            raise CommandError(
                f'error validating "{where}": error validating data: kind not set', fix=""
            )
        if str(document["kind"]).endswith("List") and isinstance(document.get("items"), list):
            yield from document["items"]
        else:
            yield document
