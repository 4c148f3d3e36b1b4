"""A page of the guide: text, files to write, commands with the output that they should have.

Blocks are Markdown's. `console` holds commands after `$ ` and their output, `console until` is for
commands that are run again until their output is the one shown (a reader does the same). Any other
block with `file=PATH` in its opening line is a file that the commands below it use. Blocks without
either are only shown.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

FENCE: Final = "```"
PROMPT: Final = "$ "
PROGRAMS: Final = frozenset({"kubectl", "tiphys", "curl"})
_ASSIGNMENT: Final = re.compile(r"([A-Z_]+)=\$\((.+)\)")


class PageError(ValueError):
    """A page that cannot be read; says which line."""


@dataclass(frozen=True)
class Text:
    text: str


@dataclass(frozen=True)
class File:
    path: str  # Relative, below the folder in which the commands run.
    content: str


@dataclass(frozen=True)
class Command:
    line: str  # As it is typed.
    words: tuple[str, ...]  # `$NAME` stands for what was assigned before.
    output: str
    until: bool  # Run again until the output is the one shown.
    assigns: str = ""  # The name that gets the output, or empty.


Part = Text | File | Command


@dataclass(frozen=True)
class Page:
    name: str  # File name without number and suffix.
    title: str
    parts: tuple[Part, ...]


def read(path: Path) -> Page:
    """Raises PageError, OSError."""
    text = path.read_text()
    title = next((line[2:] for line in text.splitlines() if line.startswith("# ")), "")
    if not title:
        raise PageError(f"{path.name}: no title")
    try:
        parts = tuple(parse(text))
    except PageError as exc:
        raise PageError(f"{path.name}: {exc}") from exc
    return Page(path.stem.partition("-")[2], title, parts)


def parse(text: str) -> Iterator[Part]:
    """Raises PageError."""
    prose: list[str] = []
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        if not line.startswith(FENCE):
            prose.append(line)
            continue
        block = []
        for _, inner in lines:
            if inner.startswith(FENCE):
                break
            block.append(inner)
        else:
            raise PageError(f"line {number}: a block without an end")
        if (parts := _block(line[len(FENCE) :].strip(), block, number)) is None:
            prose += [line, *block, FENCE]
            continue
        yield from _prose(prose)
        prose = []
        yield from parts
    yield from _prose(prose)


def _prose(lines: list[str]) -> Iterator[Text]:
    text = "\n".join(lines).strip()
    if text:
        yield Text(text)


def _block(info: str, lines: list[str], number: int) -> list[Part] | None:
    """None for a block that is only shown."""
    if info.partition(" ")[0] == "console":
        return list(_commands(lines, until=info.endswith(" until"), number=number))
    if found := re.search(r"\bfile=(\S+)", info):
        path = PurePosixPath(found[1])
        if path.is_absolute() or ".." in path.parts:
            raise PageError(f"line {number}: {found[1]} is not below the folder")
        return [File(found[1], "\n".join(lines) + "\n")]
    return None


def _commands(lines: list[str], *, until: bool, number: int) -> Iterator[Command]:
    if not lines or not lines[0].startswith(PROMPT):
        raise PageError(f"line {number}: a console block begins with a command")
    typed, output = lines[0], list[str]()
    for line in [*lines[1:], PROMPT]:
        if not line.startswith(PROMPT):
            output.append(line)
            continue
        yield _command(typed[len(PROMPT) :], "\n".join(output), until=until, number=number)
        typed, output = line, []


def _command(line: str, output: str, *, until: bool, number: int) -> Command:
    assigned = _ASSIGNMENT.fullmatch(line)
    words = tuple(shlex.split(assigned[2] if assigned else line))
    if not words or words[0] not in PROGRAMS:
        raise PageError(f"line {number}: {line!r} runs none of {', '.join(sorted(PROGRAMS))}")
    return Command(line, words, output.strip(), until, assigned[1] if assigned else "")
