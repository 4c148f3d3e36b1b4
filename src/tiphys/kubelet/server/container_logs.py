"""/containerLogs: a container's log, whole or as it grows.

Upstream: pkg/kubelet/server/server.go (getContainerLogs), kuberuntime/logs/logs.go (ReadLogs).
"""

import asyncio
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final

from tiphys.api.meta import parse_time
from tiphys.kubelet.logs import BLOCK_BYTES, Formatter, LogOptions, tail_offset
from tiphys.lib.clock import Clock
from tiphys.lib.http.flow import BodyWriter

FOLLOW_SECONDS: Final = 0.1  # Between two looks at a log that does not grow.


class OptionsError(ValueError):
    """A query that is no PodLogOptions."""


def options_of(params: dict[str, list[str]], clock: Clock) -> LogOptions:
    """Raises OptionsError."""
    try:
        tail = _number(params, "tailLines")
        limit = _number(params, "limitBytes")
        seconds = _number(params, "sinceSeconds")
        since = parse_time(params["sinceTime"][0]) if params.get("sinceTime") else None
    except ValueError as exc:
        raise OptionsError(str(exc)) from exc
    if (tail is not None and tail < 0) or (limit is not None and limit < 1):
        raise OptionsError("tailLines or limitBytes is out of range")
    if seconds is not None:
        if seconds < 1 or since is not None:
            raise OptionsError("sinceSeconds is out of range or sinceTime is set too")
        try:
            since = clock.now() - timedelta(seconds=seconds)
        except OverflowError as exc:
            raise OptionsError(f"sinceSeconds {seconds} is before all time") from exc
    return LogOptions(
        follow=_flag(params, "follow"),
        timestamps=_flag(params, "timestamps"),
        tail_lines=tail,
        limit_bytes=limit,
        since=since,
        stream=params.get("stream", ["All"])[0] or "All",
    )


def _number(params: dict[str, list[str]], name: str) -> int | None:
    return int(params[name][0]) if params.get(name) and params[name][0] else None


def _flag(params: dict[str, list[str]], name: str) -> bool:
    """As upstream converts: everything but false and 0 is true."""
    return name in params and params[name][0].lower() not in ("false", "0")


class LogReader:
    """Reads one log to a body, following it across rotation."""

    def __init__(self, path: Path, options: LogOptions, is_running: Callable[[], bool]) -> None:
        self._path = path
        self._options = options
        self._is_running = is_running
        self._formatter = Formatter(options)
        self._rest = b""

    async def write_to(self, body: BodyWriter) -> None:
        """Until the end of the log; following, until the container has ended too."""
        tail = self._options.tail_lines
        file = self._path.open("rb")
        try:
            file.seek(0 if tail is None else tail_offset(self._path, tail))
            while not self._formatter.is_full:
                # Asked before reading: what is written before the end is still read.
                running = self._options.follow and self._is_running()
                if data := file.read(BLOCK_BYTES):
                    await self._write(body, data)
                    continue
                if self._rotated(file.fileno()):
                    file.close()
                    file = self._path.open("rb")
                    continue
                if not running:
                    break
                await asyncio.sleep(FOLLOW_SECONDS)
            await self._write(body, b"", last=True)
        finally:
            file.close()

    async def _write(self, body: BodyWriter, data: bytes, *, last: bool = False) -> None:
        *whole, self._rest = (self._rest + data).split(b"\n")
        if last and self._rest:
            whole.append(self._rest)
        text = b"".join(map(self._formatter.format, whole))
        if text:
            body.write(text)
            await body.drain()

    def _rotated(self, fd: int) -> bool:
        """Another file has the log's name now. Upstream: kubelet's container log rotation."""
        if not self._options.follow:
            return False
        try:
            found = self._path.stat()
        except OSError:
            return False
        mine = os.fstat(fd)
        return (found.st_ino, found.st_dev) != (mine.st_ino, mine.st_dev)
