"""The supervisor: forks the components from one process, restarts what dies, stops all in order.

It has imported the components' modules once, so that a fork shares their pages and costs no import.
It holds no secrets, runs no event loop and starts no threads: each component reads its own files
after the fork. What runs is written to `processes.json` after every change.
"""

import gc
import json
import logging
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

from setproctitle import setproctitle

from tiphys.lib import logs, memory_holes
from tiphys.lib.backoff import Backoff
from tiphys.lib.process import ProcessIdentity, boot_id, start_time

log = logging.getLogger(__name__)

RESTART_INITIAL_SECONDS: Final = 0.1
RESTART_MAX_SECONDS: Final = 10.0
STEADY_SECONDS: Final = 30.0  # A component that ran this long starts its back-off anew.
STOP_SECONDS_MAX: Final = 8.0  # Between SIGTERM and SIGKILL.
LOG_BYTES_MAX: Final = 10 << 20  # Per component, twice: the file and the one before.
LOG_CHECK_SECONDS: Final = 60.0
OPEN_FILES_WANTED: Final = 1 << 20
_SIGNALS: Final = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


@dataclass(frozen=True, slots=True)
class Component:
    """What to run: `main` is called in the child and returns its exit code."""

    name: str
    title: str
    log_file: Path
    main: Callable[[], int]
    node: str = ""
    stage: int = 0  # Stopped from the highest stage to the lowest.
    wait_until: Callable[[], bool] | None = None  # Before the next ones are started.
    stop_seconds: float = STOP_SECONDS_MAX  # Between SIGTERM and SIGKILL.
    choices: str = ""  # What it was told that may change: with others it is started anew.


@dataclass(slots=True)
class _Running:
    component: Component
    pid: int = 0
    started: float = 0.0
    start_time: int = 0
    restarts: int = 0
    due: float | None = None
    last_exit: str = ""


@dataclass(slots=True)
class Supervisor:
    """`run()` returns when everything has been stopped."""

    components: Iterable[Component]
    processes_file: Path
    title: str
    reload: Callable[[], Sequence[Component] | None] = lambda: None  # On SIGHUP; None: as before.
    _running: dict[str, _Running] = field(default_factory=dict)
    _backoff: Backoff = field(
        default_factory=lambda: Backoff(
            initial_seconds=RESTART_INITIAL_SECONDS, max_seconds=RESTART_MAX_SECONDS
        )
    )
    _stopping: bool = False

    def run(self) -> None:
        setproctitle(self.title)
        raise_open_files()
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        self._start_all()
        next_check = time.monotonic() + LOG_CHECK_SECONDS
        while not self._stopping:
            info = signal.sigtimedwait(_SIGNALS, max(0.0, self._next_due(next_check)))
            self._handle(info.si_signo if info else 0)
            if time.monotonic() >= next_check:
                next_check = time.monotonic() + LOG_CHECK_SECONDS
                self._rotate_logs()
        self._stop_all()

    def _start_all(self) -> None:
        """While one starts the next is made ready, with all that must be imported for it."""
        waiting = iter(self.components)
        component = next(waiting, None)
        share_memory()
        while component is not None and not self._stopping:
            known = len(sys.modules)
            self._start(_Running(component))
            following = next(waiting, None)
            if len(sys.modules) > known:
                share_memory()
            if component.wait_until is not None:
                self._wait(component.wait_until)
            component = following
        gc.enable()

    def _wait(self, until: Callable[[], bool]) -> None:
        """Wait for a component, restarting it when it dies, or to be told to stop."""
        while not self._stopping and not until():
            info = signal.sigtimedwait(_SIGNALS, 0.005)
            self._handle(info.si_signo if info else 0)

    def _next_due(self, limit: float) -> float:
        due = [r.due for r in self._running.values() if r.due is not None]
        return min([*due, limit]) - time.monotonic()

    def _handle(self, number: int) -> None:
        if number in (signal.SIGTERM, signal.SIGINT):
            self._stopping = True
            return
        self._reap()
        if number == signal.SIGHUP and (wanted := self.reload()) is not None:
            self._change({key_of(c): c for c in wanted})
        now = time.monotonic()
        for running in list(self._running.values()):
            if running.due is not None and running.due <= now:
                self._start(running)

    def _start(self, running: _Running) -> None:
        component = running.component
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            pid = os.fork()
        except OSError as exc:
            delay = self._backoff.next_seconds(key_of(component))
            log.error("cannot fork", extra={"component": key_of(component), "why": str(exc)})
            running.due = time.monotonic() + delay
            self._running[key_of(component)] = running
            return
        if pid == 0:
            become(component)
        running.pid = pid
        running.started = time.monotonic()
        running.start_time = start_time(pid) or 0
        running.due = None
        self._running[key_of(component)] = running
        self._write()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for running in self._running.values():
                if running.pid == pid:
                    self._ended(running, status)

    def _ended(self, running: _Running, status: int) -> None:
        key = key_of(running.component)
        if time.monotonic() - running.started > STEADY_SECONDS:
            self._backoff.forget(key)
        code = os.waitstatus_to_exitcode(status)
        delay = self._backoff.next_seconds(key)
        running.pid, running.restarts = 0, running.restarts + 1
        running.last_exit = f"signal {-code}" if code < 0 else f"exit code {code}"
        running.due = time.monotonic() + delay
        log.warning(
            "component ended, starting it again",
            extra={"component": key, "how": running.last_exit, "in_seconds": delay},
        )
        self._write()

    def _change(self, wanted: dict[str, Component]) -> None:
        """Stop what is no longer wanted so, start what is new, leave the others alone."""
        leaving = [
            r
            for key, r in self._running.items()
            if key not in wanted or wanted[key].choices != r.component.choices
        ]
        self._stop(leaving)
        for running in leaving:
            del self._running[key_of(running.component)]
        for key, component in wanted.items():
            if key not in self._running:
                self._start(_Running(component))
        self.components = list(wanted.values())
        self._write()

    def _stop_all(self) -> None:
        self._stop(list(self._running.values()))
        self.processes_file.unlink(missing_ok=True)

    def _stop(self, leaving: Sequence[_Running]) -> None:
        """Stage by stage, so that a kubelet can still say its last word to the API server."""
        for stage in sorted({r.component.stage for r in leaving}, reverse=True):
            group = [r for r in leaving if r.component.stage == stage and r.pid]
            identities = [ProcessIdentity(boot_id(), r.pid, r.start_time) for r in group]
            for identity in identities:
                identity.send(signal.SIGTERM)
            began = time.monotonic()
            for running, identity in zip(group, identities, strict=True):
                left = began + running.component.stop_seconds - time.monotonic()
                if not identity.wait(max(0.0, left)):
                    identity.send(signal.SIGKILL)
                    identity.wait(1.0)

    def _write(self) -> None:
        """Atomic: a reader sees one state or the next."""
        own = os.getpid()
        entries = [
            {
                "component": "supervisor",
                "node": "",
                "pid": own,
                "startTime": start_time(own),
                "title": self.title,
                "restarts": 0,
            }
        ]
        for running in self._running.values():
            component = running.component
            entries.append(
                {
                    "component": component.name,
                    "node": component.node,
                    "pid": running.pid,
                    "startTime": running.start_time,
                    "title": component.title,
                    "restarts": running.restarts,
                    **({"lastExit": running.last_exit} if running.last_exit else {}),
                }
            )
        text = json.dumps({"bootId": boot_id(), "processes": entries}, indent=1)
        temporary = self.processes_file.with_suffix(".new")
        try:
            temporary.write_text(text)
            temporary.replace(self.processes_file)
        except OSError as exc:  # A full disk must not end who restarts the others.
            log.error("the list of processes was not written", extra={"why": str(exc)})

    def _rotate_logs(self) -> None:
        """Writers append, so copying and emptying loses no more than a line in between."""
        for component in self.components:
            path = component.log_file
            with suppress(OSError):
                if path.stat().st_size > LOG_BYTES_MAX:
                    path.with_suffix(".log.1").write_bytes(path.read_bytes())
                    os.truncate(path, 0)


def share_memory() -> None:
    """What is there now is to be the same pages in all children."""
    memory_holes.fill()
    gc.freeze()


def key_of(component: Component) -> str:
    return f"{component.name}/{component.node}" if component.node else component.name


def become(component: Component) -> NoReturn:
    """In the forked child: own log, own title, default signals; never returns."""
    code = 1
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        redirect_output(component.log_file)
        setproctitle(component.title)
        logs.configure(sys.stderr)
        gc.enable()
        code = component.main()
    except BaseException:  # whatever it was, the process ends here and the log says why
        logging.getLogger(__name__).exception("component failed to start")
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def redirect_output(path: Path) -> None:
    """Standard output and error append to path; standard input is empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    for source, target in ((null, 0), (fd, 1), (fd, 2)):
        os.dup2(source, target)
    os.close(fd)
    os.close(null)


def raise_open_files() -> None:
    """Up to the hard limit; raising that needs a right we may lack."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES_WANTED if hard == resource.RLIM_INFINITY else hard
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
