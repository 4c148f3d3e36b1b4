"""What upstream says of types and fields, for `kubectl explain`.

The texts are those of lightkube-models, whose classes carry upstream's OpenAPI descriptions in
their docstrings. Its source is read as text, a module when its document is made, and nothing of it
is kept: importing it would cost a quarter of a second and 20 MB.

    class Name(DictMixin):
        r\"\"\"What it is
          in lines of 78 characters.

          **parameters**

          * **field** ``type`` - What it is
            in lines of 78 characters.
        \"\"\"

Lines are wrapped there and empty ones left out: a line that the next word would still have fitted
into ends a paragraph.
Upstream: api/openapi-spec (description).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final

MODELS: Final = "lightkube.models"
LINE_CHARS_MAX: Final = 78  # Of a wrapped line without its indentation.
_CLASS: Final = re.compile(r'^class (\w+)\([^\n]*\n {4}r"""(.*?)"""$', re.MULTILINE | re.DOTALL)
_FIELD: Final = re.compile(r"^ {6}\* \*\*(\w+)\*\* ``[^`]*``(?: - (.*))?$")
_HEADING: Final = "      **parameters**"


@dataclass(frozen=True, slots=True)
class Description:
    """Of a type; `fields` has the texts of its fields, by name."""

    text: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)


NOTHING: Final = Description()


def descriptions_of(type_names: Iterable[str]) -> dict[str, Description]:
    """By the schema's names of types (`apps.v1.Deployment`); unknown ones are left out."""
    wanted = set(type_names)
    found: dict[str, Description] = {}
    for package in sorted({name.rpartition(".")[0] for name in wanted}):
        for name, description in read_module(_source(package)):
            if (full := f"{package}.{name}") in wanted:
                found[full] = description
    return found


def _source(package: str) -> str:
    """The text of the module of a package, or nothing where there is none."""
    spec = find_spec(MODELS.partition(".")[0])
    if spec is None or not spec.submodule_search_locations:
        return ""
    folder = Path(spec.submodule_search_locations[0]) / MODELS.partition(".")[2]
    path = folder / f"{package.replace('.', '_')}.py"
    return path.read_text("utf-8") if path.is_file() else ""


def read_module(source: str) -> Iterator[tuple[str, Description]]:
    """The classes of a module with what their docstrings say."""
    for match in _CLASS.finditer(source):
        text, _, parameters = match[2].partition(_HEADING)
        yield match[1], Description(_unwrapped(text.splitlines()), _fields(parameters))


def _fields(text: str) -> dict[str, str]:
    lines: dict[str, list[str]] = {}
    current: list[str] = []
    for line in text.splitlines():
        begun = _FIELD.match(line)
        if begun is not None:
            current = lines[begun[1]] = [begun[2] or ""]
        elif line.strip():
            current.append(line)
    return {name: _unwrapped(found) for name, found in lines.items()}


def _between(line: str, word: str) -> str:
    """What stood between a line and the first word of the next one, before it was wrapped."""
    room = LINE_CHARS_MAX - len(line) - len(word)
    if room < 1:
        return " "
    # Sentences are often two spaces apart, which may be one too many.
    return "  " if room == 1 and line.endswith((".", ")")) else "\n\n"


def _unwrapped(lines: list[str]) -> str:
    """The text before it was wrapped, its paragraphs apart."""
    made = ""
    last = ""
    for line in (given.strip() for given in lines):
        if not line:
            continue
        if made:
            made += _between(last, line.split(" ", 1)[0])
        made += line
        last = line
    return made
