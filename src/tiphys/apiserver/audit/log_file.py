"""The audit log: JSON lines, written in batches, in files that are bounded in bytes, number, age.

Handlers only append to a list; a timer writes what came. As with upstream's batch mode
(--audit-log-mode=batch), a server that is killed loses at most the last BATCH_SECONDS.
Upstream: apiserver plugin/pkg/audit/log, plugin/pkg/audit/buffered; lumberjack's rotation.
"""

import asyncio
import logging
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from tiphys.apiserver.audit.event import Noted, encode
from tiphys.lib.clock import Clock

log = logging.getLogger(__name__)

BATCH_SECONDS: Final = 0.1
BATCH_EVENTS_MAX: Final = 400  # Then they are written at once: --audit-log-batch-max-size.
FILE_BYTES_MAX: Final = 16 << 20  # --audit-log-maxsize; upstream: 100 MB.
FILES_MAX: Final = 10  # --audit-log-maxbackup
AGE_DAYS_MAX: Final = 30  # --audit-log-maxage


class AuditLogFile:
    """One writer per file. Raises OSError when it cannot be opened."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        file_bytes_max: int = FILE_BYTES_MAX,
        files_max: int = FILES_MAX,
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = path
        self._clock = clock
        self._file_bytes_max = file_bytes_max
        self._files_max = files_max
        self._pending: list[Noted] = []
        self._timer: asyncio.TimerHandle | None = None
        self._open()

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(self._path, flags, 0o600)
        self._size = os.fstat(self._fd).st_size

    def write(self, noted: Noted) -> None:
        self._pending.append(noted)
        if len(self._pending) >= BATCH_EVENTS_MAX:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(BATCH_SECONDS, self.flush)

    def flush(self) -> None:
        """What the disk does not take is lost, and said: requests are served nevertheless."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        pending, self._pending = self._pending, []
        if not pending:
            return
        data = "".join(map(encode, pending)).encode()
        try:
            if self._size and self._size + len(data) > self._file_bytes_max:
                self._rotate()
            self._append(data)
        except OSError as exc:
            log.error("audit events were lost", extra={"count": len(pending), "why": str(exc)})

    def _append(self, data: bytes) -> None:
        """All or nothing: a half line would spoil the next one."""
        begin = self._size
        view = memoryview(data)
        try:
            while view:
                written = os.write(self._fd, view)
                self._size += written
                view = view[written:]
        except OSError:
            os.ftruncate(self._fd, begin)
            self._size = begin
            raise

    def _rotate(self) -> None:
        now = self._clock.now()
        stamp = f"{now:%Y-%m-%dT%H-%M-%S}.{now.microsecond // 1000:03d}"
        self._path.rename(self._path.with_name(f"{self._path.stem}-{stamp}.log"))
        os.close(self._fd)
        self._open()
        for path in surplus(self._backups(), self._files_max, now):
            path.unlink(missing_ok=True)

    def _backups(self) -> list[tuple[Path, float]]:
        found = self._path.parent.glob(f"{self._path.stem}-[0-9]*T*.log")
        return [(path, path.stat().st_mtime) for path in sorted(found)]

    def close(self) -> None:
        self.flush()
        os.close(self._fd)


def surplus(backups: list[tuple[Path, float]], files_max: int, now: datetime) -> list[Path]:
    """Those beyond the number, the oldest first, and those that are too old."""
    oldest = (now - timedelta(days=AGE_DAYS_MAX)).timestamp()
    beyond = max(0, len(backups) - files_max)
    return [path for i, (path, changed) in enumerate(backups) if i < beyond or changed < oldest]
