"""`tiphys logs [COMPONENT] [-f]`: a component's log, or the last lines of all."""

import argparse
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Final

from tiphys.cli.arguments import Parser
from tiphys.cli.output import CommandError, report
from tiphys.cluster.commands.stop import existing
from tiphys.lib.logs import PROBLEMS

TAIL_LINES: Final = 10
FOLLOW_SECONDS: Final = 0.2


def run(name: str, arguments: Sequence[str]) -> int:
    if arguments and arguments[0] == "search":
        from tiphys.cluster.commands import logs_search

        return logs_search.run(name, arguments[1:])
    if arguments and arguments[0] == "outputs":
        from tiphys.cluster.commands import logs_outputs

        return logs_outputs.run(name, arguments[1:])
    parser = Parser(
        prog="tiphys logs",
        description="show a component's log",
        epilog="tiphys logs search -h: the lines of all containers, events, audit;"
        " tiphys logs outputs -h: send them to Loki or syslog",
    )
    parser.add_argument("component", nargs="?", help="apiserver, scheduler, kubelet, ...")
    parser.add_argument("-f", "--follow", action="store_true", help="go on as lines come")
    parser.add_argument(
        "--tail", type=int, metavar="LINES", help="only so many of the last lines; -1 = all"
    )
    parser.add_argument("-n", "--length", type=int, dest="tail", help="the same")
    parser.add_argument("--problems", action="store_true", help="warnings and errors only")
    parser.add_argument("--file", type=Path, help="write them there")
    options = parser.parse_args(arguments)
    if options.file is not None:
        with options.file.open("w") as file, redirect_stdout(file):
            return _show(name, options)
    return _show(name, options)


def _show(name: str, options: argparse.Namespace) -> int:
    try:
        directory = existing(name).logs
        files = sorted(directory.glob("*.log"))
        if options.component:
            files = [_chosen(files, options.component)]
    except CommandError as exc:
        return report(exc, as_json=False)
    lines = wanted_lines(options.tail, one=bool(options.component))
    for path in files:
        if len(files) > 1:
            print(f"==> {path.stem} <==")
        found: Sequence[str] = path.read_text(errors="replace").splitlines()
        found = problems(found) if options.problems else found
        for line in last_lines(found, lines):
            print(line)
    if options.follow and len(files) == 1:
        _follow(files[0])
    return 0


def wanted_lines(tail: int | None, *, one: bool) -> int:
    """How many of the last lines to show, -1 for all: of one log all, of each of many a few."""
    if tail is not None:
        return max(tail, -1)
    return -1 if one else TAIL_LINES


def problems(lines: Sequence[str]) -> list[str]:
    """Warnings and errors with their tracebacks (lib/logs.py LineFormatter). Pure."""
    found, keep = [], False
    for line in lines:
        words = line.split(maxsplit=2)
        if len(words) > 1 and words[0].endswith("Z") and words[1].isupper():
            keep = words[1] in PROBLEMS
        if keep:
            found.append(line)
    return found


def last_lines(lines: Sequence[str], count: int) -> Sequence[str]:
    """The last so many; all for -1, none for 0."""
    return lines if count < 0 else lines[max(len(lines) - count, 0) :]


def _chosen(files: Sequence[Path], component: str) -> Path:
    """The log of a component, also without its node's name. Raises CommandError."""
    for path in files:
        if path.stem == component or path.stem.startswith(f"{component}-"):
            return path
    raise CommandError(
        f'there is no log of "{component}"',
        fix=f"logs: {', '.join(p.stem for p in files)}",
        reason="LOG_NOT_FOUND",
    )


def _follow(path: Path) -> None:
    with path.open(errors="replace") as file:
        file.seek(0, 2)
        while True:
            if line := file.readline():
                print(line, end="", flush=True)
                continue
            if path.stat().st_size < file.tell():
                file.seek(0)  # It was emptied to keep it small.
            time.sleep(FOLLOW_SECONDS)
