"""Finding lines in the cluster's log. Reads beside the writer, in the process that asks.

Chunks that lie side by side are looked through at once: a store of a busy cluster has very many.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from mmap import mmap
from pathlib import Path
from typing import Final, NamedTuple

from tiphys.cri.log_line import LogFormatError, parse
from tiphys.logstore import segment
from tiphys.logstore.index import Chunk, Filter, Index, Source, Stream
from tiphys.logstore.pattern import Pattern
from tiphys.logstore.store import INDEX_NAME

RUN_BYTES_MAX: Final = 4 << 20  # Looked through at once: behind each the newest found may suffice.


class Hit(NamedTuple):
    time: str  # RFC 3339 in UTC, with nanoseconds.
    source: Source
    stream: str  # stdout, stderr
    text: str


class Run(NamedTuple):
    """Chunks of one segment that follow one another without a gap."""

    segment: int
    chunks: Sequence[Chunk]

    @property
    def newest(self) -> str:
        return max(chunk.last for chunk in self.chunks)


def runs_of(chunks: Iterable[Chunk]) -> list[Run]:
    """In the order of writing."""
    found: list[list[Chunk]] = []
    size = 0
    for chunk in chunks:
        last = found[-1][-1] if found else None
        follows = last is not None and (last.segment, last.stop) == (chunk.segment, chunk.start)
        if follows and size < RUN_BYTES_MAX:
            found[-1].append(chunk)
        else:
            found.append([chunk])
            size = 0
        size += chunk.stop - chunk.start
    return [Run(chunks[0].segment, chunks) for chunks in found]


class LogReader:
    """Raises OSError, sqlite3.Error."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._index = Index(directory / INDEX_NAME, read_only=True)
        self.last_chunk = 0  # What has been searched up to here, for those who follow.

    def close(self) -> None:
        self._index.close()

    def search(self, pattern: Pattern, wanted: Filter, limit: int) -> list[Hit]:
        """The newest matching lines, in the order of their times; limit 0 for all.

        Only what was written since the last search of this reader.
        """
        newest = self._index.last_chunk()
        streams = self._index.streams(wanted)
        runs = runs_of(self._index.chunks(wanted, streams, self.last_chunk, newest))
        self.last_chunk = newest
        found: list[Hit] = []
        with ExitStack() as stack:
            memory = _Memory(self._directory, stack)
            for run in sorted(runs, key=lambda r: r.newest, reverse=True) if limit else runs:
                if limit and len(found) >= limit and run.newest < found[-limit].time:
                    break
                found += self._hits(run, memory.of(run.segment), pattern, wanted, streams)
                if limit:
                    found = sorted(found, key=_order)[-limit:]
        return sorted(found, key=_order)

    def _hits(
        self,
        run: Run,
        memory: mmap | None,
        pattern: Pattern,
        wanted: Filter,
        streams: dict[int, Stream],
    ) -> Iterator[Hit]:
        if memory is None:
            return
        starts = [chunk.start for chunk in run.chunks]
        end = run.chunks[-1].stop
        for at, raw in segment.matching_lines(memory, starts[0], end, pattern.literal):
            hit = _hit(raw, pattern.matches, wanted)
            if hit is not None:
                chunk = run.chunks[bisect_right(starts, at) - 1]
                yield hit._replace(source=streams[chunk.stream].source)


class _Memory:
    """Segments, mapped when they are needed and until the search ends."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self._directory = directory
        self._stack = stack
        self._mapped: dict[int, mmap | None] = {}

    def of(self, number: int) -> mmap | None:
        """None: retention was faster."""
        if number not in self._mapped:
            path = segment.path_of(self._directory, number)
            try:
                self._mapped[number] = self._stack.enter_context(segment.mapped(path))
            except FileNotFoundError:
                self._mapped[number] = None
        return self._mapped[number]


_NOBODY: Final = Source("", "", "", "", "")


def _hit(raw: bytes, matches: Callable[[bytes], bool], wanted: Filter) -> Hit | None:
    try:
        line = parse(raw)
    except LogFormatError:
        return None
    if not matches(line.text):
        return None  # It stands in the head of the line only.
    time = line.stamp.decode("ascii", "replace")
    if (wanted.since and time < wanted.since) or (wanted.until and time > wanted.until):
        return None
    shown = line.text.decode("utf-8", "replace").rstrip("\n")
    return Hit(time, _NOBODY, line.stream.decode(), shown)


def _order(hit: Hit) -> tuple[str, Source]:
    return hit.time, hit.source
