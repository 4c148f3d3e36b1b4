"""The log agent: follows the files of all containers of this machine's nodes into the store.

A file is held open while it is followed: what was written before it was removed is still read.
Positions are in the store's transaction, so that no line is lost or doubled, whoever is killed.
Back-pressure: what the store has not taken stays in the files, which rotation bounds.
"""

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tiphys.logstore.index import Position, Source
from tiphys.logstore.pod_logs import HEAD_BYTES, is_log, source_of, starts_at, whole_lines
from tiphys.logstore.store import Batch, LogStore

log = logging.getLogger(__name__)

CHUNK_BYTES_MAX: Final = 1 << 20  # Of one file in one step: others get their turn.
STEP_BYTES_MAX: Final = 16 << 20  # Of all files in one step: one fsync.
LINE_BYTES_MAX: Final = 32 << 10  # Runtimes split at 16 KiB; a longer line without end is skipped.
FILES_MAX: Final = 4096  # Held open at once.

Convert = Callable[[bytes], bytes]
"""Whole lines of a file as the store has them."""
Files = Callable[[], Iterator[tuple[Source, Path]]]
LabelsOf = Callable[[str], Mapping[str, str]]
"""A pod's labels by its uid; empty while they are not known."""


@dataclass(slots=True)
class _Followed:
    source: Source
    fd: int
    key: tuple[int, int]  # device, inode
    head: bytes
    offset: int
    convert: Convert


class LogAgent:
    """`step` does a round of work; the caller sets the pace."""

    def __init__(
        self,
        store: LogStore,
        roots: Callable[[], Mapping[str, Path]],
        labels_of: LabelsOf = lambda uid: {},
        others: Sequence[tuple[Files, Convert]] = (),
    ) -> None:
        """roots: each node's folder of pods (/var/log/pods as it lies on the host), by name.

        others: files of other formats that grow and are rotated.
        """
        self._others = others
        self._store = store
        self._roots = roots
        self._labels_of = labels_of
        self._followed: dict[tuple[int, int], _Followed] = {}
        self._known = {(p.device, p.inode): p for p in store.positions()}

    def step(self) -> int:
        """Find new files, take what they hold; returns how many bytes.

        Raises OSError, sqlite3.Error when the store does not take it: nothing is forgotten then.
        """
        for source, path in self._files():
            self._follow(source, path, bytes)
        for files, convert in self._others:
            for source, path in files():
                self._follow(source, path, convert)
        batches: list[tuple[_Followed, Batch]] = []
        drained: list[_Followed] = []
        taken = 0
        for followed in list(self._followed.values()):
            if taken >= STEP_BYTES_MAX:
                break
            data = self._read(followed)
            if data:
                taken += len(data)
                batches.append((followed, self._batch(followed, data)))
            elif os.fstat(followed.fd).st_nlink == 0:
                drained.append(followed)
        if batches or drained:
            self._store.write([b for _, b in batches], [f.key for f in drained])
        for followed, batch in batches:
            assert batch.position is not None
            followed.offset = batch.position.offset
            followed.head = batch.position.head
        for followed in drained:
            self._forget(followed)
        return taken

    def close(self) -> None:
        for followed in list(self._followed.values()):
            self._forget(followed)

    def _files(self) -> Iterator[tuple[Source, Path]]:
        for node, root in self._roots().items():
            for pod in _directories(root):
                for container in _directories(pod):
                    source = source_of(container, node)
                    if source is None:
                        continue
                    for path in _logs(container):
                        yield source, path

    def _follow(self, source: Source, path: Path, convert: Convert) -> None:
        try:
            status = path.stat()
            key = (status.st_dev, status.st_ino)
            if key in self._followed or len(self._followed) >= FILES_MAX:
                return
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return  # Gone again: rotated away or removed.
        real = os.fstat(fd)
        key = (real.st_dev, real.st_ino)
        if key in self._followed:
            os.close(fd)
            return
        head = os.pread(fd, HEAD_BYTES, 0)
        offset = starts_at(self._known.pop(key, None), head, real.st_size)
        self._followed[key] = _Followed(source, fd, key, head, offset, convert)

    def _read(self, followed: _Followed) -> bytes:
        """Whole lines from where we are."""
        data = os.pread(followed.fd, CHUNK_BYTES_MAX, followed.offset)
        lines = whole_lines(data)
        if not lines and len(data) >= LINE_BYTES_MAX:
            log.warning("a line without end is skipped", extra={"bytes": len(data)})
            followed.offset += len(data)
        return lines

    def _batch(self, followed: _Followed, data: bytes) -> Batch:
        if len(followed.head) < HEAD_BYTES:
            followed.head = os.pread(followed.fd, HEAD_BYTES, 0)
        position = Position(*followed.key, followed.head, followed.offset + len(data))
        labels = self._labels_of(followed.source.uid)
        return Batch(followed.source, labels, followed.convert(data), position)

    def _forget(self, followed: _Followed) -> None:
        os.close(followed.fd)
        del self._followed[followed.key]


def _directories(path: Path) -> Sequence[Path]:
    try:
        return [Path(e.path) for e in os.scandir(path) if e.is_dir(follow_symlinks=False)]
    except OSError:
        return []  # The node is not there yet, or the pod has just gone.


def _logs(container: Path) -> list[Path]:
    try:
        names = [e.name for e in os.scandir(container) if e.is_file(follow_symlinks=False)]
    except OSError:
        return []
    return [container / name for name in sorted(names) if is_log(name)]
