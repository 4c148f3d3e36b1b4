"""Upstream's layout of container logs, and which part of a file may be taken. Pure.

    /var/log/pods/NAMESPACE_POD_UID/CONTAINER/N.log      and N.log.TIME, after a rotation

Upstream: pkg/kubelet/kuberuntime/helpers.go (BuildContainerLogsDirectory).
"""

from pathlib import Path
from typing import Final

from tiphys.logstore.index import Position, Source

HEAD_BYTES: Final = 128  # A line begins with its time, or has an audit ID: no two are the same.


def source_of(container_directory: Path, node: str) -> Source | None:
    """Whose logs a folder holds; None for one of another layout."""
    parts = container_directory.parent.name.split("_")
    if len(parts) != 3 or not all(parts):
        return None
    namespace, pod, uid = parts
    return Source(namespace, pod, uid, container_directory.name, node)


def is_log(name: str) -> bool:
    """`0.log` or `0.log.20261128-101500`; not what is packed."""
    number, _, rest = name.partition(".log")
    return number.isdigit() and (not rest or rest.startswith(".")) and not rest.endswith(".gz")


def whole_lines(data: bytes) -> bytes:
    """What of a piece of a file ends with a line's end: the rest is still being written."""
    return data[: data.rfind(b"\n") + 1]


def starts_at(known: Position | None, head: bytes, size: int) -> int:
    """Where to go on in a file: behind what was read of it, unless it is another one by now."""
    if known is None or size < known.offset:
        return 0
    return known.offset if head.startswith(known.head) and known.head else 0
