"""A Python program on the disk: how it is started, what belongs to it, what it needs.

Source: packaging.python.org, specification of pyproject.toml ([project] name, scripts,
dependencies).
"""

import os
import re
import stat
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tiphys.cli.output import CommandError
from tiphys.runtime.build import ignore, source_tree

NAME_LENGTH_MAX: Final = 50  # Of 63: pods' names get a hash and a suffix besides.
PROGRAMS: Final = ("main.py", "app.py", "server.py", "__main__.py")
# What no program needs in its image; .dockerignore adds to it.
NEVER: Final = (
    ".*\n**/.*\n**/__pycache__\n**/*.pyc\nvenv\nnode_modules\n*.egg-info\n**/*.egg-info\n"
)
FILES_MAX: Final = 20_000
HOME: Final = "/app"


@dataclass(frozen=True)
class App:
    """`files` are paths below `root`; needs are requirements as pip takes them."""

    name: str
    root: Path
    files: tuple[str, ...]
    command: tuple[str, ...]
    needs: tuple[str, ...]


def find(path: Path, name: str = "") -> App:
    """The program at path: a file, or a folder. Raises: CommandError."""
    if path.is_file():
        start = ("python3", "-u", path.name)
        return App(_name(name or path.stem), path.parent, (path.name,), start, ())
    if not path.is_dir():
        raise CommandError(
            f"there is no program at {path}", fix="tiphys run ./app.py", reason="RUN_NO_PROGRAM"
        )
    project = _project(path / "pyproject.toml")
    files = tuple(_files(path))
    command = start_command(project, files)
    if not command:
        raise CommandError(
            f"{path} does not say how it is started",
            fix="name the file: main.py or app.py; or [project.scripts] in pyproject.toml",
            reason="RUN_NO_PROGRAM",
        )
    found = name or project.get("name") or path.resolve().name
    return App(_name(found), path, files, command, _needs(path, project))


def _project(path: Path) -> Mapping[str, Any]:
    try:
        document = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (ValueError, OSError) as exc:
        raise CommandError(
            f"cannot read {path}: {exc}", fix="correct it", reason="RUN_PROJECT"
        ) from exc
    found: Mapping[str, Any] = document.get("project") or {}
    return found


def start_command(project: Mapping[str, Any], files: Sequence[str]) -> tuple[str, ...]:
    """The first script of the project, a program of a usual name, or the one package that can be
    run; () when there is none."""
    for target in (project.get("scripts") or {}).values():
        module, _, function = str(target).partition(":")
        code = f"import sys; from {module} import {function} as main; sys.exit(main())"
        return ("python3", "-u", "-c", code)
    for program in PROGRAMS:
        if program in files:
            return ("python3", "-u", program)
    packages = sorted(
        os.path.dirname(one).removeprefix("src/")
        for one in files
        if os.path.basename(one) == "__main__.py"
    )
    packages = [one for one in packages if "/" not in one]
    return ("python3", "-u", "-m", packages[0]) if len(packages) == 1 else ()


def _needs(path: Path, project: Mapping[str, Any]) -> tuple[str, ...]:
    if "dependencies" in project:
        return tuple(str(one) for one in project["dependencies"])
    try:
        lines = (path / "requirements.txt").read_text().splitlines()
    except FileNotFoundError:
        return ()
    texts = (line.partition(" #")[0].strip() for line in lines)
    return tuple(text for text in texts if text and not text.startswith("#"))


def _files(path: Path) -> list[str]:
    own = path / source_tree.IGNORE_FILE
    text = NEVER + (own.read_text() if own.exists() else "")
    try:
        tree = source_tree.SourceTree(str(path), ignore.parse(text))
    except ValueError as exc:
        raise CommandError(str(exc), fix=f"correct {own}", reason="RUN_PROJECT") from exc
    found = []
    for one in tree.walk(""):
        if stat.S_ISREG(one.status.st_mode):
            found.append(one.path)
        if len(found) > FILES_MAX:
            raise CommandError(
                f"{path} has more than {FILES_MAX} files",
                fix="leave out what the program does not need: .dockerignore",
                reason="RUN_SIZE",
            )
    return found


def _name(text: str) -> str:
    """A DNS label (RFC 1123) that resembles text. Raises: CommandError."""
    found = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:NAME_LENGTH_MAX].strip("-")
    if not found:
        raise CommandError(
            f"no name can be made of {text!r}", fix="give one: --name NAME", reason="RUN_NAME"
        )
    return found


def stamp(app: App) -> dict[str, tuple[int, int]]:
    """Times and sizes of the files, by which a change is noticed."""
    found = {}
    for one in app.files:
        try:
            status = os.stat(app.root / one)
        except OSError:
            continue
        found[one] = (status.st_mtime_ns, status.st_size)
    return found
