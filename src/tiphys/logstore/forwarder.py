"""Passes the store's lines on to outputs, each at its own pace and from where it stopped.

The store is the buffer: a receiver that is away keeps nobody waiting, and gets what it missed as
long as retention has it. Where an output has come to is on disk after each batch that was taken.
"""

import json
import logging
import os
import sqlite3
import ssl
import tempfile
from pathlib import Path
from typing import Final

from tiphys.lib.backoff import Backoff
from tiphys.lib.clock import Clock
from tiphys.lib.tasks import TaskSet, keep_running
from tiphys.logstore.outputs.config import (
    LokiConfig,
    OutputConfig,
    OutputsError,
    SyslogConfig,
    load,
)
from tiphys.logstore.outputs.record import Output, OutputError, Record
from tiphys.logstore.tail import Tail

log = logging.getLogger(__name__)

IDLE_SECONDS: Final = 0.5
LOOK_SECONDS: Final = 1.0  # Between two looks at the file of outputs.
RETRY_INITIAL_SECONDS: Final = 0.5
RETRY_MAX_SECONDS: Final = 30.0


class Cursor:
    """Where an output has come to: a file, replaced at once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> int | None:
        """None: it has never taken anything."""
        try:
            return int(json.loads(self._path.read_text())["chunk"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, place: int) -> None:
        """Raises OSError."""
        self._path.parent.mkdir(exist_ok=True, mode=0o700)
        fd, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=".cursor")
        with os.fdopen(fd, "w") as file:
            json.dump({"chunk": place}, file)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(self._path)


def made(to: LokiConfig | SyslogConfig) -> Output:
    """Receivers are imported when there is one. Raises OSError, ssl.SSLError."""
    if isinstance(to, LokiConfig):
        from tiphys.logstore.outputs.loki import LokiOutput

        return LokiOutput(to)
    from tiphys.logstore.outputs.syslog import SyslogOutput

    return SyslogOutput(to)


class Forwarder:
    """One output; `run` until cancelled."""

    def __init__(self, name: str, output: Output, tail: Tail, cursor: Cursor, clock: Clock) -> None:
        self._name = name
        self._output = output
        self._tail = tail
        self._cursor = cursor
        self._clock = clock

    async def run(self) -> None:
        backoff = Backoff(initial_seconds=RETRY_INITIAL_SECONDS, max_seconds=RETRY_MAX_SECONDS)
        failing = False
        while True:
            try:
                took = await self.step()
            except (OutputError, OSError, sqlite3.Error) as exc:
                if not failing:
                    log.warning(
                        "an output takes no lines, trying again",
                        extra={"output": self._name, "why": str(exc)},
                    )
                failing = True
                await self._clock.sleep(backoff.next_seconds(""))
                continue
            if failing:
                log.info("the output takes lines again", extra={"output": self._name})
            failing = False
            backoff.forget("")
            if not took:
                await self._clock.sleep(IDLE_SECONDS)

    async def step(self) -> bool:
        """One batch; False when there was none. Raises OutputError, OSError, sqlite3.Error."""
        place = self._cursor.read()
        if place is None:  # A new output begins with what is written from now on.
            self._cursor.write(self._tail.end())
            return False
        found = self._tail.after(place)
        if found.last == place:
            return False
        if found.missing:
            why = {"output": self._name}
            log.error("lines were removed before the output took them", extra=why)
        if found.records:
            await self._send(found.records)
        self._cursor.write(found.last)
        return True

    async def _send(self, records: list[Record]) -> None:
        from tiphys.logstore.outputs.loki import LinesRefused

        try:
            await self._output.send(records)
        except LinesRefused as exc:
            why = {"output": self._name, "count": len(records), "why": str(exc)}
            log.error("lines were refused and are left out", extra=why)


class Forwarders:
    """All outputs of a file; it is looked at while they run."""

    def __init__(self, store_directory: Path, file: Path, clock: Clock) -> None:
        self._directory = store_directory
        self._file = file
        self._clock = clock
        self._running: dict[str, TaskSet] = {}  # By what the configuration says.

    async def run(self) -> None:
        seen: tuple[int, int] | None = (0, 0)
        try:
            while True:
                now = _version(self._file)
                if now != seen:
                    seen = now
                    await self._follow()
                await self._clock.sleep(LOOK_SECONDS)
        finally:
            for tasks in self._running.values():
                await tasks.close()

    async def _follow(self) -> None:
        """Outputs that are as before go on undisturbed."""
        try:
            wanted = load(self._file)
        except OutputsError as exc:
            log.error("the outputs are not changed", extra={"why": str(exc)})
            return
        for text in self._running.keys() - set(map(repr, wanted)):
            await self._running.pop(text).close()
        for config in wanted:
            if repr(config) not in self._running:
                self._start(config)

    def _start(self, config: OutputConfig) -> None:
        tasks = TaskSet()
        try:
            output = made(config.to)
            tail = Tail(self._directory, config.sources)
        except (OSError, ssl.SSLError, sqlite3.Error) as exc:
            log.error("no such output", extra={"output": config.name, "why": str(exc)})
            return
        cursor = Cursor(self._directory / "outputs" / f"{config.name}.json")
        forwarder = Forwarder(config.name, output, tail, cursor, self._clock)
        tasks.start(keep_running(f"output {config.name}", forwarder.run), f"output {config.name}")
        self._running[repr(config)] = tasks


def _version(path: Path) -> tuple[int, int]:
    """(0, 0): there is none."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_ino
