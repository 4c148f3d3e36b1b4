"""One `tiphys start` at a time on a machine, from choosing addresses until they are in use.

Two at once would choose the same port and ranges. The lock is an abstract unix socket: it leaves
no file and goes with its process, however that ends. Source: unix(7).
"""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from tiphys.cli.output import CommandError

_NAME: Final = "\0tiphys-start"
WAIT_SECONDS_MAX: Final = 120.0
_POLL_SECONDS: Final = 0.02
_SAY_AFTER_SECONDS: Final = 1.0


class StartLock:
    """Held until `release`; releasing twice is fine."""

    def __init__(self, held: socket.socket) -> None:
        self._held = held

    def release(self) -> None:
        self._held.close()


@contextmanager
def start_lock(say: Callable[[str], None]) -> Iterator[StartLock]:
    """Wait for the turn; say so when it takes long. Raises CommandError."""
    lock = StartLock(_acquire(say))
    try:
        yield lock
    finally:
        lock.release()


def _acquire(say: Callable[[str], None]) -> socket.socket:
    began = time.monotonic()
    said = False
    while True:
        held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            held.bind(_NAME)
            return held
        except OSError:
            held.close()
        waited = time.monotonic() - began
        if waited > WAIT_SECONDS_MAX:
            raise CommandError(
                "another `tiphys start` does not end; look for it with `ps`",
                reason="PROFILE_LOCKED",
            )
        if waited > _SAY_AFTER_SECONDS and not said:
            said = True
            say("waiting for another `tiphys start` to finish")
        time.sleep(_POLL_SECONDS)
