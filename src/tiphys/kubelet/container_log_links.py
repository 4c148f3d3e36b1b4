"""Links to containers' logs by their names, which other log agents follow.

    /var/log/containers/POD_NAMESPACE_CONTAINER-ID.log -> /var/log/pods/.../CONTAINER/N.log

Upstream: pkg/kubelet/kuberuntime/legacy.go (legacyLogSymlink), kuberuntime_gc.go.
"""

import logging
import os
from pathlib import Path
from typing import Final

from tiphys.api.meta import Obj, name_of, namespace_of

log = logging.getLogger(__name__)

DIRECTORY_NAME: Final = "containers"  # Beside `pods`.
NAME_BYTES_MAX: Final = 255  # ext4MaxFileNameLen
_SUFFIX: Final = ".log"


def link_name(pod: Obj, container: str, container_id: str) -> str:
    stem = f"{name_of(pod)}_{namespace_of(pod)}_{container}-{container_id}"
    return stem[: NAME_BYTES_MAX - len(_SUFFIX)] + _SUFFIX


def add(pod_logs: Path, pod: Obj, container: str, container_id: str, log_file: Path) -> None:
    """A container that runs is not stopped for a link: what goes wrong is logged."""
    directory = pod_logs.parent / DIRECTORY_NAME
    link = directory / link_name(pod, container, container_id)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for old in _links(directory, f"{name_of(pod)}_{namespace_of(pod)}_{container}-"):
            if not old.exists():  # Its container's log was removed.
                old.unlink()
        if not link.is_symlink():
            link.symlink_to(log_file)
    except OSError as exc:
        log.warning("no link to a container's log", extra={"link": str(link), "why": str(exc)})


def remove(pod_logs: Path, pod: Obj, folder: Path) -> None:
    """All links into a pod's folder of logs."""
    directory = pod_logs.parent / DIRECTORY_NAME
    try:
        for link in _links(directory, f"{name_of(pod)}_{namespace_of(pod)}_"):
            if link.readlink().is_relative_to(folder):
                link.unlink()
    except OSError as exc:
        log.warning("links to logs stay", extra={"pod": name_of(pod), "why": str(exc)})


def _links(directory: Path, prefix: str) -> list[Path]:
    try:
        found = [e for e in os.scandir(directory) if e.name.startswith(prefix) and e.is_symlink()]
    except FileNotFoundError:
        return []
    return [Path(e.path) for e in found]
