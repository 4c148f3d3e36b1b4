"""Keeps container logs within bounds: a log that is too large gets a new file.

    0.log                      what is written now
    0.log.20261124-100000      older files, the newest last

Upstream: pkg/kubelet/logs/container_log_manager.go (which also packs older files).
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Final

from tiphys.cri.client import CriClient
from tiphys.cri.errors import CriError
from tiphys.kubelet.runtime_cache import RuntimeCache
from tiphys.lib.clock import Clock

log = logging.getLogger(__name__)

LOG_BYTES_MAX: Final = 10 << 20  # defaults.go ContainerLogMaxSize
FILES_MAX: Final = 5  # ContainerLogMaxFiles, the present one included
CHECK_SECONDS: Final = 10.0  # ContainerLogMonitorInterval


def surplus(rotated: Iterable[str], files_max: int) -> list[str]:
    """Which of the rotated files' names have to go; a further one is about to come."""
    ordered = sorted(rotated)
    return ordered[: max(0, len(ordered) - (files_max - 2))]


def rotated_name(path: Path, now: datetime) -> Path:
    return path.with_name(f"{path.name}.{now.strftime('%Y%m%d-%H%M%S')}")


class LogRotation:
    def __init__(
        self,
        cri: CriClient,
        cache: RuntimeCache,
        clock: Clock,
        *,
        bytes_max: int = LOG_BYTES_MAX,
        files_max: int = FILES_MAX,
    ) -> None:
        self._cri = cri
        self._cache = cache
        self._clock = clock
        self._bytes_max = bytes_max
        self._files_max = files_max

    async def run(self) -> None:
        """Look at the logs of running containers until cancelled."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            await self.check()

    async def check(self) -> None:
        for uid in self._cache.uids():
            for container in self._cache.get(uid).containers:
                if container.state == "running" and container.log_path:
                    await self._check_one(container.id, Path(container.log_path))

    async def _check_one(self, container_id: str, path: Path) -> None:
        try:
            if not is_larger(path, self._bytes_max):
                return
            target = make_room(path, self._files_max, self._clock.now())
        except OSError as exc:
            log.warning("log not rotated", extra={"path": path, "why": str(exc)})
            return
        try:
            await self._cri.call("ReopenContainerLog", {"container_id": container_id})
        except CriError as exc:
            # The runtime writes on into the file: give it its name back.
            log.warning("log not reopened", extra={"path": path, "why": exc.message})
            with contextlib.suppress(OSError):
                target.rename(path)


def is_larger(path: Path, bytes_max: int) -> bool:
    return path.exists() and path.stat().st_size > bytes_max


def make_room(path: Path, files_max: int, now: datetime) -> Path:
    """Remove the oldest files and move the present one aside. Raises OSError."""
    rotated = [p.name for p in path.parent.glob(f"{path.name}.*")]
    for name in surplus(rotated, files_max):
        path.with_name(name).unlink(missing_ok=True)
    target = rotated_name(path, now)
    path.rename(target)
    return target
