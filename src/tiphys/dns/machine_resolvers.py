"""The machine's real resolvers, followed as their files change.

Stub resolvers on loopback cannot be reached from a node's network namespace, so the files that
hold the real ones are read.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from tiphys.lib.resolv_conf import RESOLVER_FILES, real_resolvers

log = logging.getLogger(__name__)

CHECK_SECONDS: Final = 2.0  # Between two looks at the files; shorter than a resolver's time-out.


class MachineResolvers:
    """The machine's real resolvers as its files name them now.

    Looked at no more often than every CHECK_SECONDS and only when somebody asks: a laptop that
    changes networks writes new ones. Source: CoreDNS reads them once; glibc since 2.26 looks again.
    """

    def __init__(
        self,
        files: Sequence[Path] = RESOLVER_FILES,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files = files
        self._monotonic = monotonic
        self._checked = -CHECK_SECONDS
        self._seen: list[tuple[int, ...]] = []
        self._found: tuple[str, ...] = ()

    def __call__(self) -> tuple[str, ...]:
        now = self._monotonic()
        if now - self._checked >= CHECK_SECONDS:
            self._checked = now
            seen = [_version(file) for file in self._files]
            if seen != self._seen:
                self._seen, self._found = seen, real_resolvers(self._texts())
                log.info("resolvers of the machine", extra={"addresses": self._found})
        return self._found

    def _texts(self) -> Iterator[str]:
        for file in self._files:
            with suppress(OSError):
                yield file.read_text(errors="replace")


def _version(file: Path) -> tuple[int, ...]:
    """Another one whenever the file is another; () when there is none."""
    try:
        found = file.stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
