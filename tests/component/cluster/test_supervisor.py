"""The supervisor with real processes: restarts what dies, stops in order, writes down what runs."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tiphys.cluster.supervisor import Component, Supervisor
from tiphys.lib.process import ProcessIdentity, start_time


def _sleep() -> int:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    while True:
        time.sleep(60)


def _fail() -> int:
    return 7


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.01)


class Running:
    def __init__(
        self,
        directory: Path,
        components: list[Component],
        reload: Callable[[], list[Component] | None] = lambda: None,
    ) -> None:
        self.file = directory / "processes.json"
        self.pid = os.fork()
        if self.pid == 0:
            Supervisor(components, self.file, "tiphys: supervisor [test]", reload).run()
            os._exit(0)

    def processes(self) -> dict[str, dict[str, Any]]:
        try:
            found = json.loads(self.file.read_text())["processes"]
        except (OSError, ValueError):
            return {}
        return {p["component"]: p for p in found}

    def stop(self) -> None:
        os.kill(self.pid, signal.SIGTERM)
        os.waitpid(self.pid, 0)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    names = {"steady": _sleep, "failing": _fail}
    components = [
        Component(name, f"tiphys: {name} [test]", tmp_path / f"{name}.log", main)
        for name, main in names.items()
    ]
    found = Running(tmp_path, components)
    yield found
    if start_time(found.pid) is not None:
        found.stop()


def test_what_is_killed_is_started_again_and_recorded(running: Running) -> None:
    until(lambda: "steady" in running.processes())
    first = running.processes()["steady"]
    os.kill(first["pid"], signal.SIGKILL)
    until(lambda: running.processes()["steady"]["restarts"] == 1)
    until(lambda: running.processes()["steady"]["pid"] not in (0, first["pid"]))
    found = running.processes()["steady"]
    assert found["startTime"] == start_time(found["pid"])
    title = Path(f"/proc/{found['pid']}/cmdline")
    until(lambda: title.read_bytes().rstrip(b"\0") == b"tiphys: steady [test]")


def test_what_fails_again_and_again_is_tried_with_growing_pauses(running: Running) -> None:
    until(lambda: running.processes().get("failing", {}).get("restarts", 0) >= 3)
    assert running.processes()["failing"]["lastExit"] == "exit code 7"


def test_stopping_ends_everything(running: Running) -> None:
    until(lambda: "steady" in running.processes())
    identity = ProcessIdentity.of(running.processes()["steady"]["pid"])
    assert identity is not None
    running.stop()
    assert not identity.is_alive
    assert not running.file.exists()


def test_a_reload_stops_what_left_and_starts_what_is_new(tmp_path: Path) -> None:
    def one(name: str) -> Component:
        return Component(name, f"tiphys: {name} [test]", tmp_path / f"{name}.log", _sleep)

    running = Running(tmp_path, [one("stays"), one("leaves")], lambda: [one("stays"), one("new")])
    try:
        until(lambda: running.processes().keys() == {"supervisor", "stays", "leaves"})
        before = running.processes()
        until(lambda: all(p["pid"] for p in before.values()))
        os.kill(running.pid, signal.SIGHUP)
        until(lambda: running.processes().keys() == {"supervisor", "stays", "new"})
        assert running.processes()["stays"] == before["stays"]
        assert start_time(before["leaves"]["pid"]) != before["leaves"]["startTime"]
    finally:
        running.stop()
