"""Reads a Dockerfile: text in, instructions out. Pure.

Source: docs.docker.com/reference/dockerfile (format, parser directives, here-documents).
Differs: no `ADD` of URLs or git, no `RUN --mount`; both are refused where they stand.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

NAMES: Final = (
    *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL"),
    *("MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
)
_DIRECTIVE: Final = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*")
_FLAG: Final = re.compile(r"--([a-z][a-z0-9-]*)(?:=(\S*))?(?:\s+|$)")
_HEREDOC: Final = re.compile(r"(?<!<)<<(-?)(['\"]?)([A-Za-z0-9_.]+)\2")
_TAKES_HEREDOCS: Final = ("RUN", "COPY", "ADD")


class DockerfileError(ValueError):
    """A Dockerfile that cannot be built; the text begins with where."""


@dataclass(frozen=True)
class Heredoc:
    """One here-document: its name, its text, and whether variables in it are replaced."""

    name: str
    text: str
    expand: bool


@dataclass(frozen=True)
class Instruction:
    """`rest` is what follows name and flags, continuation lines joined; `line` counts from 1."""

    name: str
    rest: str
    line: int
    flags: tuple[tuple[str, str], ...] = ()
    heredocs: tuple[Heredoc, ...] = ()

    def flag(self, name: str, default: str = "") -> str:
        return dict(self.flags).get(name, default)

    def error(self, text: str) -> DockerfileError:
        return DockerfileError(f"dockerfile line {self.line}: {self.name}: {text}")

    @property
    def json(self) -> list[str] | None:
        """The words of the exec form, None when this is the shell form."""
        if not self.rest.startswith("["):
            return None
        try:
            words = json.loads(self.rest)
        except ValueError:
            return None
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            return words
        return None

    def __str__(self) -> str:
        flags = "".join(f" --{name}={value}" for name, value in self.flags)
        return f"{self.name}{flags} {self.rest}"


@dataclass(frozen=True)
class Dockerfile:
    instructions: tuple[Instruction, ...]
    escape: str = "\\"


def parse(text: str) -> Dockerfile:
    """Raises: DockerfileError."""
    lines = text.removeprefix("\ufeff").splitlines()
    escape = _escape(lines)
    found = tuple(_instructions(lines, escape))
    if not found:
        raise DockerfileError("the Dockerfile has no instructions")
    first = next((one for one in found if one.name != "ARG"), found[0])
    if first.name != "FROM":
        raise first.error("no build stage in current context: FROM must come first")
    return Dockerfile(found, escape)


def _escape(lines: list[str]) -> str:
    """Directives stand in the first lines, before anything else."""
    for line in lines:
        match = _DIRECTIVE.fullmatch(line.strip())
        if match is None:
            break
        if match[1].lower() == "escape":
            if match[2] not in ("\\", "`"):
                raise DockerfileError(f"invalid ESCAPE '{match[2]}'. Must be ` or \\")
            return match[2]
    return "\\"


def _instructions(lines: list[str], escape: str) -> Iterator[Instruction]:
    index = 0
    while index < len(lines):
        if not lines[index].strip() or lines[index].lstrip().startswith("#"):
            index += 1
            continue
        start = index + 1
        text, index = _joined(lines, index, escape)
        one = instruction(text, start)
        if one.name in _TAKES_HEREDOCS and one.json is None:
            documents, index = _heredocs(one, lines, index)
            one = Instruction(one.name, one.rest, one.line, one.flags, documents)
        yield one


def _joined(lines: list[str], index: int, escape: str) -> tuple[str, int]:
    """One logical line and the index behind it; comments and empty lines inside are dropped."""
    text = ""
    while index < len(lines):
        line = lines[index].rstrip()
        index += 1
        if text and (not line or line.lstrip().startswith("#")):
            continue
        if not line.endswith(escape):
            return text + line, index
        text += line[: -len(escape)]
    return text, index


def instruction(text: str, line: int) -> Instruction:
    """One instruction from its logical line. Raises: DockerfileError."""
    word, _, rest = text.strip().partition(" ")
    name, tab, more = word.partition("\t")
    rest = f"{more} {rest}".strip() if tab else rest.strip()
    if name.upper() not in NAMES:
        raise DockerfileError(f"dockerfile line {line}: unknown instruction: {name}")
    flags: list[tuple[str, str]] = []
    while match := _FLAG.match(rest):
        flags.append((match[1], match[2] if match[2] is not None else "true"))
        rest = rest[match.end() :]
    if not rest:
        raise DockerfileError(f"dockerfile line {line}: {name.upper()} requires an argument")
    return Instruction(name.upper(), rest.strip(), line, tuple(flags))


def _heredocs(one: Instruction, lines: list[str], index: int) -> tuple[tuple[Heredoc, ...], int]:
    found = []
    for dash, quote, name in _HEREDOC.findall(one.rest):
        body: list[str] = []
        while True:
            if index >= len(lines):
                raise one.error(f"unterminated heredoc {name}")
            line = lines[index].lstrip("\t") if dash else lines[index]
            index += 1
            if line == name:
                break
            body.append(line)
        text = "".join(f"{line}\n" for line in body)
        found.append(Heredoc(name, text, expand=not quote))
    return tuple(found), index


def is_heredoc(word: str) -> bool:
    return _HEREDOC.fullmatch(word) is not None
