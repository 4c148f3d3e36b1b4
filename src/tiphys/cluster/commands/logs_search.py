"""`tiphys logs search TEXT`: lines of all containers, also of those that are gone."""

import argparse
import json
import os
import re
import sqlite3
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from tiphys.cli.arguments import Parser
from tiphys.cli.output import CommandError, report
from tiphys.cluster.commands.stop import existing
from tiphys.logstore.index import Filter
from tiphys.logstore.search import Hit, LogReader

FOLLOW_SECONDS: Final = 0.2
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION: Final = re.compile(r"(\d+)([smhd])")


def run(name: str, arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    try:
        wanted = Filter(
            since=_since(options.since),
            namespace=options.namespace,
            pod=options.pod,
            container=options.container,
            node=options.node,
            labels=_labels(options.selector),
        )
        directory = existing(name).log_store
        reader = LogReader(directory)
    except sqlite3.Error as exc:
        error = CommandError(
            f"there is no log of the cluster yet: {exc}", fix="tiphys start", reason="LOG_NOT_FOUND"
        )
        return report(error, as_json=options.output == "json")
    except CommandError as exc:
        return report(exc, as_json=options.output == "json")
    try:
        return _show(reader, options, wanted)
    finally:
        reader.close()


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="tiphys logs search", description="search the lines of all containers")
    parser.add_argument("text", nargs="?", default="", help="what a line contains; all without it")
    parser.add_argument("-l", "--selector", default="", help="labels of the pods: app=x,tier=y")
    parser.add_argument("-n", "--namespace", default="")
    parser.add_argument("--pod", default="")
    parser.add_argument("-c", "--container", default="")
    parser.add_argument("--node", default="")
    parser.add_argument("--since", default="", metavar="DURATION", help="such as 90s, 15m, 1h, 7d")
    parser.add_argument("--limit", type=int, default=0, metavar="LINES", help="only the newest")
    parser.add_argument("-f", "--follow", action="store_true", help="go on as lines come")
    parser.add_argument("-o", "--output", choices=("text", "json", "raw"), default="text")
    return parser


def _since(text: str) -> str:
    """The time so long ago, as log lines have it. Raises CommandError."""
    if not text:
        return ""
    parts = _DURATION.findall(text)
    if not parts or "".join(n + u for n, u in parts) != text:
        raise CommandError(
            f'"{text}" is no duration', fix="such as 90s, 15m, 1h30m, 7d", reason="BAD_VALUE"
        )
    ago = timedelta(seconds=sum(int(n) * _UNITS[u] for n, u in parts))
    then = datetime.now(UTC) - ago  # noqa: TID251 - the command's own clock
    return then.strftime("%Y-%m-%dT%H:%M:%S.%f000Z")


def _labels(selector: str) -> dict[str, str]:
    """Equalities only. Raises CommandError."""
    found = {}
    for term in filter(None, selector.split(",")):
        key, equals, value = term.partition("=")
        if not equals or key.endswith("!"):
            raise CommandError(
                f'"{term}" is no equality', fix="use -l app=x,tier=y", reason="BAD_VALUE"
            )
        found[key.strip()] = value.removeprefix("=").strip()
    return found


def _show(reader: LogReader, options: argparse.Namespace, wanted: Filter) -> int:
    shown = 0
    while True:
        for hit in reader.search(options.text, wanted, options.limit):
            print(_line(hit, options.output), flush=options.follow)
            shown += 1
        if not options.follow:
            return os.EX_OK if shown else 1
        time.sleep(FOLLOW_SECONDS)


def _line(hit: Hit, output: str) -> str:
    if output == "raw":
        return hit.text
    if output == "json":
        return json.dumps(
            {"time": hit.time, **hit.source._asdict(), "stream": hit.stream, "text": hit.text}
        )
    source = hit.source
    return f"{hit.time} {source.namespace}/{source.pod}/{source.container} {hit.text}"
