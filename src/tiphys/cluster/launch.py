"""Forking the supervisor away from the command that starts it.

The supervisor imports the components while the command makes certificates and networks; a byte in
a pipe then tells it to go on. A pipe that is closed instead tells it to give up.
"""

import gc
import logging
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from tiphys.cli.output import CommandError
from tiphys.cluster import processes
from tiphys.cluster.profile import Profile, ProfileError, Roots
from tiphys.cluster.supervisor import redirect_output
from tiphys.lib.process import ProcessIdentity

_GIVE_UP_SECONDS_MAX: Final = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Launch:
    """A supervisor that waits to be told to go on."""

    pid: int
    pipe: int
    log_file: Path
    identity: ProcessIdentity | None

    def go(self, profile: Profile) -> None:
        """Raises CommandError when the supervisor has died already."""
        if self.identity is not None:
            processes.record_supervisor(profile, self.identity)
        try:
            os.write(self.pipe, b"g")
        except BrokenPipeError as exc:
            raise CommandError(
                "the supervisor ended before it began",
                fix=f"its last words: {self.log_file}",
                reason="CLUSTER_SUPERVISOR",
            ) from exc
        os.close(self.pipe)

    def give_up(self) -> None:
        """End it: it has done nothing yet. Twice is fine."""
        with suppress(OSError):
            os.close(self.pipe)
        if self.identity is not None:
            self.identity.send(signal.SIGKILL)
            self.identity.wait(_GIVE_UP_SECONDS_MAX)


def launch(roots: Roots, name: str, log_file: Path) -> Launch:
    """Fork a process of its own session; it survives the terminal."""
    read_end, write_end = os.pipe()
    pid_read, pid_write = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    middle = os.fork()
    if middle == 0:
        os.close(write_end)
        os.close(pid_read)
        os.setsid()
        inner = os.fork()
        if inner:
            os.write(pid_write, str(inner).encode())
            os._exit(0)
        _supervise(roots, name, log_file, read_end)
    os.close(read_end)
    os.close(pid_write)
    pid = int(os.read(pid_read, 20))
    os.close(pid_read)
    os.waitpid(middle, 0)
    return Launch(pid, write_end, log_file, ProcessIdentity.of(pid))


def _supervise(roots: Roots, name: str, log_file: Path, pipe: int) -> NoReturn:
    code = 1
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        redirect_output(log_file)
        close_inherited(pipe)
        os.chdir("/")
        os.umask(0o022)
        code = _run(roots, name, pipe)
    except BaseException:  # noqa: BLE001 - the last frame of a process: the log says why
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def close_inherited(keep: int) -> None:
    """Close all but the standard streams and one more.

    Whatever the caller of the command had open (a lock, the end of a pipe, a terminal) would be
    held for as long as the cluster runs.
    """
    for name in os.listdir("/dev/fd"):
        if int(name) > 2 and int(name) != keep:
            with suppress(OSError):  # The listing's own, which is closed already.
                os.close(int(name))


def _run(roots: Roots, name: str, pipe: int) -> int:
    gc.disable()  # What is imported stays: see `supervisor.share_memory`.
    from tiphys.cluster import preload
    from tiphys.cluster.components import components
    from tiphys.cluster.supervisor import Component, Supervisor
    from tiphys.lib import logs
    from tiphys.lib.component import share_one_arena

    share_one_arena()
    logs.configure(sys.stderr)
    if os.read(pipe, 1) != b"g":
        return 0
    os.close(pipe)
    profile = _loaded(roots, name)

    def reload() -> list[Component] | None:
        try:
            return list(components(_loaded(roots, name)))
        except ProfileError as exc:
            log.error("the profile was not read again", extra={"why": str(exc)})
            return None

    if not profile.is_joined:
        preload.rehearse_tls(profile.pki)
    supervisor = Supervisor(
        components(profile),
        profile.run_directory / "processes.json",
        f"tiphys: supervisor [{name}]",
        reload=reload,
    )
    supervisor.run()
    return 0


def _loaded(roots: Roots, name: str) -> Profile:
    from tiphys.cluster import profile as profiles

    found = profiles.load(roots, name)
    if found is None:
        raise ProfileError(f'profile "{name}" is gone', reason="PROFILE_DAMAGED")
    return found
