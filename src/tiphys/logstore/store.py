"""Writing the cluster's log: each batch is on disk, once, with how far its files were read.

First the lines go to the segment and are synced, then the index tells of them in one transaction.
What a crash left in a segment without a row is cut off at the next start.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from tiphys.logstore import segment
from tiphys.logstore.index import Index, Position, Source

BYTES_MAX: Final = 1 << 30  # The oldest segments go when there is more.
AGE_SECONDS_MAX: Final = 7 * 24 * 3600
INDEX_NAME: Final = "index.db"


@dataclass(frozen=True, slots=True)
class Batch:
    """Whole lines of one source, and the position behind them in what is read."""

    source: Source
    labels: Mapping[str, str]
    data: bytes
    position: Position | None = None


class LogStore:
    """One writer per directory."""

    def __init__(self, directory: Path, *, bytes_max: int = BYTES_MAX) -> None:
        """Raises OSError, sqlite3.Error."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._directory = directory
        self._bytes_max = bytes_max
        self._index = Index(directory / INDEX_NAME)
        number, size = self._index.end_of_segments()
        for stray in segment.numbers(directory):
            if stray > number:
                segment.path_of(directory, stray).unlink()
        self._writer = segment.SegmentWriter(directory, number, size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def positions(self) -> list[Position]:
        return list(self._index.positions())

    def write(self, batches: Sequence[Batch], drained: Sequence[tuple[int, int]] = ()) -> None:
        """All of it or nothing; drained: files (device, inode) that are gone and read to their end.

        Raises OSError, sqlite3.Error.
        """
        if self._writer.size >= segment.SEGMENT_BYTES_MAX:
            self._next_segment()
        before = self._writer.size
        try:
            places = [self._writer.append(b.data) for b in batches]
            self._writer.sync()
            self._index.begin()
        except BaseException:
            self._writer.size = before
            raise
        try:
            for batch, start in zip(batches, places, strict=True):
                self._note(batch, start)
            for device, inode in drained:
                self._index.forget_position(device, inode)
            self._index.commit()
        except BaseException:
            self._index.rollback()
            self._writer.size = before
            raise

    def _note(self, batch: Batch, start: int) -> None:
        stream = self._index.stream(batch.source, batch.labels)
        first = batch.data[: batch.data.find(b" ")]
        last_line = batch.data.rfind(b"\n", 0, len(batch.data) - 1) + 1
        last = batch.data[last_line : batch.data.find(b" ", last_line)]
        times = (first.decode("ascii", "replace"), last.decode("ascii", "replace"))
        lines = batch.data.count(b"\n")
        end = start + len(batch.data)
        self._index.add_chunk(self._writer.number, start, end, stream, times, lines)
        if batch.position is not None:
            self._index.set_position(batch.position)

    def _next_segment(self) -> None:
        number = self._writer.number + 1
        self._writer.close()
        self._writer = segment.SegmentWriter(self._directory, number, 0)

    def retain(self, oldest: str) -> int:
        """Remove whole segments of lines older than a time, and those beyond the bytes allowed.

        Returns how many. Raises OSError, sqlite3.Error.
        """
        held = [n for n in segment.numbers(self._directory) if n != self._writer.number]
        sizes = {n: segment.path_of(self._directory, n).stat().st_size for n in held}
        total = sum(sizes.values()) + self._writer.size
        removed = 0
        for number in held:
            if total <= self._bytes_max and self._index.newest_of(number) >= oldest:
                break
            self._index.drop_segment(number)  # Before the file: no row without its lines.
            segment.path_of(self._directory, number).unlink()
            total -= sizes[number]
            removed += 1
        return removed

    def close(self) -> None:
        self._writer.close()
        self._index.close()
