"""nginx as a data plane: files, one master process, a reload for each plan.

A plan is checked by `nginx -t` before it is obeyed. At a reload new workers take new connections
and the old ones end what is under way.
"""

import asyncio
import ctypes
import logging
import os
import shutil
import signal
import socket
from pathlib import Path
from typing import Final

from tiphys.ingress.data_plane import DataPlaneError, Listening
from tiphys.ingress.nginx.configuration import (
    certificate_path,
    configuration,
)
from tiphys.ingress.table import Certificate, Plan, certificate_of

log = logging.getLogger(__name__)

WORKERS: Final = 2
START_SECONDS_MAX: Final = 10.0
CHECK_SECONDS_MAX: Final = 30.0
STOP_SECONDS: Final = 5.0  # For answers under way when it ends.
_POLL_SECONDS: Final = 0.02
_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
_PLACES: Final = "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
_USERS: Final = ("www-data", "nginx", "nobody")


def find_nginx() -> str | None:
    """Where nginx is on this machine."""
    return shutil.which("nginx", path=_PLACES)


class Nginx:
    """A `DataPlane`. directory: its files, for nobody else."""

    def __init__(self, listening: Listening, directory: Path, *, workers: int = WORKERS) -> None:
        self._listening = listening
        self._directory = directory
        self._workers = workers
        self._program = ""
        self._process: asyncio.subprocess.Process | None = None
        self._text = ""

    async def start(self) -> None:
        """Raises DataPlaneError."""
        program = find_nginx()
        if program is None:
            raise DataPlaneError("nginx is not installed: apt-get install nginx-light")
        self._program = program
        (self._directory / "certificates").mkdir(parents=True, exist_ok=True)
        self._directory.chmod(0o711)  # Workers reach their temporary files.
        (self._directory / "certificates").chmod(0o700)
        await self._end_previous()
        self._write_certificate(None)
        self._text = self._write_configuration("nginx.conf", Plan())
        self._process = await asyncio.create_subprocess_exec(
            program, "-p", str(self._directory), "-c", str(self._directory / "nginx.conf"),
            stdin=asyncio.subprocess.DEVNULL,
            preexec_fn=_end_with_parent,
        )  # fmt: skip
        await self._wait_until_listening(self._process)

    async def apply(self, plan: Plan) -> None:
        """Raises DataPlaneError."""
        process = self._process
        if process is None or process.returncode is not None:
            raise DataPlaneError("nginx has ended")
        wanted = {certificate_of(plan.hosts, name) for name in plan.hosts} - {None}
        for certificate in wanted:
            self._write_certificate(certificate)
        text = self._write_configuration("next.conf", plan)
        if text == self._text:
            return
        await self._check(self._directory / "next.conf")
        (self._directory / "next.conf").replace(self._directory / "nginx.conf")
        before = self._workers_of(process.pid)
        process.send_signal(signal.SIGHUP)
        self._text = text
        await self._wait_for_workers(process, before)
        self._forget_certificates(wanted)

    async def close(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGQUIT)
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.send_signal(signal.SIGTERM)
            await process.wait()

    async def ended(self) -> None:
        assert self._process is not None
        code = await self._process.wait()
        log.error("nginx has ended", extra={"exit_code": code})

    # --- files

    def _write_configuration(self, name: str, plan: Plan) -> str:
        try:
            text = configuration(
                plan,
                self._listening,
                str(self._directory),
                workers=self._workers,
                user=_worker_user(),
            )
        except ValueError as exc:
            raise DataPlaneError(f"the plan cannot be written for nginx: {exc}") from exc
        (self._directory / name).write_text(text)
        return text

    def _write_certificate(self, certificate: Certificate | None) -> None:
        path = Path(certificate_path(str(self._directory), certificate))
        if certificate is not None and path.exists():
            return
        wanted = certificate or self._listening.certificate
        temporary = path.with_suffix(".new")
        temporary.touch(mode=0o600)
        temporary.write_bytes(wanted.chain + b"\n" + wanted.key)
        temporary.replace(path)

    def _forget_certificates(self, wanted: set[Certificate | None]) -> None:
        directory = str(self._directory)
        keep = {certificate_path(directory, c) for c in wanted | {None}}
        for path in (self._directory / "certificates").iterdir():
            if str(path) not in keep:
                path.unlink()

    # --- processes

    async def _end_previous(self) -> None:
        """One whose controller was killed still has the ports."""
        pid = _previous(self._directory)
        if pid is None:
            return
        os.kill(pid, signal.SIGTERM)
        for _ in range(int(START_SECONDS_MAX / _POLL_SECONDS)):
            if _previous(self._directory) is None:
                return
            await asyncio.sleep(_POLL_SECONDS)

    async def _check(self, path: Path) -> None:
        process = await asyncio.create_subprocess_exec(
            self._program, "-t", "-q", "-p", str(self._directory), "-c", str(path),
            stdin=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            _, words = await asyncio.wait_for(process.communicate(), CHECK_SECONDS_MAX)
        except TimeoutError as exc:
            process.kill()
            raise DataPlaneError(f"nginx -t took more than {CHECK_SECONDS_MAX:g} s") from exc
        if process.returncode != 0:
            text = words.decode(errors="replace").strip()
            raise DataPlaneError(f"nginx refuses the configuration: {text}")

    async def _wait_until_listening(self, process: asyncio.subprocess.Process) -> None:
        where = self._listening
        for _ in range(int(START_SECONDS_MAX / _POLL_SECONDS)):
            if process.returncode is not None:
                raise DataPlaneError(
                    f"nginx ended with {process.returncode}: its words are in the log; are "
                    f"{where.address}:{where.http_port} and :{where.https_port} free?"
                )
            if all(_accepts(where.address, p) for p in (where.http_port, where.https_port)):
                return
            await asyncio.sleep(_POLL_SECONDS)
        raise DataPlaneError(f"nginx does not listen after {START_SECONDS_MAX:g} s")

    def _workers_of(self, pid: int) -> set[str]:
        try:
            return set(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        except OSError:
            return set()

    async def _wait_for_workers(
        self, process: asyncio.subprocess.Process, before: set[str]
    ) -> None:
        """Until only the new configuration is obeyed: the old workers take no more connections."""
        for _ in range(int(START_SECONDS_MAX / _POLL_SECONDS)):
            if process.returncode is not None:
                raise DataPlaneError(f"nginx ended with {process.returncode}")
            new = self._workers_of(process.pid) - before
            if len(new) >= self._workers and not any(_takes_connections(pid) for pid in before):
                return
            await asyncio.sleep(_POLL_SECONDS)
        raise DataPlaneError("nginx did not reload: its words are in the log")


def _takes_connections(pid: str) -> bool:
    """A worker's title says when it only ends what it has (ngx_worker_process_cycle)."""
    try:
        return b"shutting down" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _end_with_parent() -> None:
    """In the child: whoever kills its controller ends nginx. Source: prctl(2)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _previous(directory: Path) -> int | None:
    """The master process of an nginx of this directory."""
    try:
        pid = int((directory / "nginx.pid").read_text())
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return pid if str(directory).encode() in words else None


def _accepts(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex((address, port)) == 0


def _worker_user() -> str:
    """Whom nginx's workers become; nobody else than us when we are not root."""
    import pwd

    if os.geteuid() != 0:
        return ""
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in _USERS if name in known), "")
