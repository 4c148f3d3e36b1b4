"""`tiphys logs search TEXT`: lines of all containers, also of those that are gone."""

import argparse
import json
import os
import re
import sqlite3
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from tiphys.api import labels
from tiphys.cli.arguments import Parser
from tiphys.cli.output import CommandError, report
from tiphys.cluster.commands.stop import existing
from tiphys.logstore.index import ORIGINS, PODS, Filter
from tiphys.logstore.pattern import Pattern, regex_pattern, text_pattern
from tiphys.logstore.search import Hit, LogReader

FOLLOW_SECONDS: Final = 0.2
ALL: Final = "all"
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION: Final = re.compile(r"(\d+)([smhd])")
_TIME_FIX: Final = "such as 90s, 15m, 1h30m, 7d, or 2026-01-31T10:00:00+01:00"


def run(name: str, arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    as_json = options.output == "json"
    try:
        wanted = _filter(options, _now())
        pattern = _pattern(options)
        zone = zone_of(options.time_zone)
        reader = LogReader(existing(name).log_store)
    except sqlite3.Error as exc:
        error = CommandError(
            f"there is no log of the cluster yet: {exc}", fix="tiphys start", reason="LOG_NOT_FOUND"
        )
        return report(error, as_json=as_json)
    except CommandError as exc:
        return report(exc, as_json=as_json)
    try:
        return _show(reader, options, wanted, pattern, zone)
    finally:
        reader.close()


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="tiphys logs search", description="search the lines of all containers")
    parser.add_argument("text", nargs="?", default="", help="what a line contains; all without it")
    parser.add_argument(
        "-E", "--regex", action="store_true", help="the text is a regular expression (Python's)"
    )
    parser.add_argument("-i", "--ignore-case", action="store_true")
    parser.add_argument(
        "-l", "--selector", default="", help="labels of the pods: app=x,tier!=y,env in (a,b),!old"
    )
    parser.add_argument("-n", "--namespace", default="")
    parser.add_argument("--pod", default="")
    parser.add_argument("-c", "--container", default="")
    parser.add_argument("--node", default="")
    parser.add_argument(
        "--source", choices=(*ORIGINS, ALL), default=PODS, help=f"whose lines (default: {PODS})"
    )
    parser.add_argument("--since", default="", metavar="TIME", help=_TIME_FIX)
    parser.add_argument("--until", default="", metavar="TIME", help="as --since")
    parser.add_argument("--limit", type=int, default=0, metavar="LINES", help="only the newest")
    parser.add_argument("-f", "--follow", action="store_true", help="go on as lines come")
    parser.add_argument("--timestamps", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument(
        "--time-zone", default="UTC", metavar="ZONE", help="of times shown: UTC, local, Europe/Rome"
    )
    parser.add_argument("-o", "--output", choices=("text", "json", "raw"), default="text")
    return parser


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the command's own clock


def _filter(options: argparse.Namespace, now: datetime) -> Filter:
    """Raises CommandError."""
    try:
        selector = labels.parse(options.selector)
    except labels.SelectorError as exc:
        raise CommandError(f'--selector "{options.selector}": {exc}', reason="BAD_VALUE") from exc
    return Filter(
        since=moment(options.since, now),
        until=moment(options.until, now),
        namespace=options.namespace,
        pod=options.pod,
        container=options.container,
        node=options.node,
        origin="" if options.source == ALL else options.source,
        labels=selector,
    )


def _pattern(options: argparse.Namespace) -> Pattern:
    """Raises CommandError."""
    if not options.regex and not options.ignore_case:
        return text_pattern(options.text)
    text = options.text if options.regex else re.escape(options.text)
    try:
        return regex_pattern(text, ignore_case=options.ignore_case)
    except re.error as exc:
        raise CommandError(
            f'"{options.text}" is no regular expression: {exc}', reason="BAD_VALUE"
        ) from exc


def moment(text: str, now: datetime) -> str:
    """A time, or one so long ago, as log lines have it. Raises CommandError.

    A time without a zone is the machine's.
    """
    if not text:
        return ""
    parts = _DURATION.findall(text)
    if parts and "".join(n + u for n, u in parts) == text:
        then = now - timedelta(seconds=sum(int(n) * _UNITS[u] for n, u in parts))
    else:
        try:
            then = datetime.fromisoformat(text).astimezone(UTC)
        except (ValueError, OverflowError) as exc:
            raise CommandError(
                f'"{text}" is no duration and no time', fix=_TIME_FIX, reason="BAD_VALUE"
            ) from exc
    return then.strftime("%Y-%m-%dT%H:%M:%S.%f000Z")


def zone_of(name: str) -> tzinfo | None:
    """None: the machine's. Raises CommandError."""
    if name == "UTC":
        return UTC
    if name == "local":
        return None
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError) as exc:
        raise CommandError(
            f'there is no time zone "{name}"', fix="such as Europe/Rome", reason="BAD_VALUE"
        ) from exc


def shown_time(time: str, zone: tzinfo | None) -> str:
    """RFC 3339 in a zone; the nanoseconds stay."""
    if zone is UTC:
        return time
    try:
        then = datetime.fromisoformat(time[:19] + "+00:00").astimezone(zone)
    except ValueError:
        return time
    offset = then.strftime("%z")
    return f"{then:%Y-%m-%dT%H:%M:%S}{time[19:].rstrip('Z')}{offset[:3]}:{offset[3:5]}"


def _show(
    reader: LogReader,
    options: argparse.Namespace,
    wanted: Filter,
    pattern: Pattern,
    zone: tzinfo | None,
) -> int:
    shown = 0
    while True:
        for hit in reader.search(pattern, wanted, options.limit):
            hit = hit._replace(time=shown_time(hit.time, zone))
            print(line_of(hit, options.output, timestamps=options.timestamps))
            shown += 1
        if not options.follow:
            return os.EX_OK if shown else 1
        print(end="", flush=True)
        time.sleep(FOLLOW_SECONDS)


def line_of(hit: Hit, output: str, *, timestamps: bool) -> str:
    if output == "raw":
        return hit.text
    if output == "json":
        return json.dumps(
            {"time": hit.time, **hit.source._asdict(), "stream": hit.stream, "text": hit.text}
        )
    source = hit.source
    where = "/".join(filter(None, (source.namespace, source.pod, source.container)))
    head = f"{hit.time} " if timestamps else ""
    return f"{head}{where or source.origin} {hit.text}"
