"""Finding lines in the cluster's log. Reads beside the writer, in the process that asks."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from tiphys.cri.log_line import LogFormatError, parse
from tiphys.logstore import segment
from tiphys.logstore.index import Chunk, Filter, Index, Source
from tiphys.logstore.store import INDEX_NAME


class Hit(NamedTuple):
    time: str  # RFC 3339 in UTC, with nanoseconds.
    source: Source
    stream: str  # stdout, stderr
    text: str


class LogReader:
    """Raises OSError, sqlite3.Error."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._index = Index(directory / INDEX_NAME, read_only=True)
        self.last_chunk = 0  # What has been searched up to here, for those who follow.

    def close(self) -> None:
        self._index.close()

    def search(self, text: str, wanted: Filter, limit: int) -> list[Hit]:
        """The newest matching lines, in the order of their times; limit 0 for all.

        Only what was written since the last search of this reader that had no limit of time.
        """
        chunks = self._index.chunks(wanted, self.last_chunk)
        found: list[Hit] = []
        for chunk, lines in self._lines(chunks, text.encode()):
            found += self._hits(chunk, lines, text.encode(), wanted)
            self.last_chunk = max(self.last_chunk, chunk.id)
        found.sort(key=lambda hit: (hit.time, hit.source))
        return found[-limit:] if limit else found

    def _lines(self, chunks: list[Chunk], text: bytes) -> Iterator[tuple[Chunk, list[bytes]]]:
        for number, group in groupby(chunks, key=lambda c: c.segment):
            try:
                with segment.mapped(segment.path_of(self._directory, number)) as memory:
                    for chunk in group:
                        lines = segment.matching_lines(memory, chunk.start, chunk.stop, text)
                        yield chunk, list(lines)
            except FileNotFoundError:
                continue  # Retention was faster.

    def _hits(self, chunk: Chunk, lines: list[bytes], text: bytes, wanted: Filter) -> Iterator[Hit]:
        for raw in lines:
            try:
                line = parse(raw)
            except LogFormatError:
                continue
            if text not in line.text:
                continue  # It stands in the head of the line only.
            time = line.stamp.decode("ascii", "replace")
            if (wanted.since and time < wanted.since) or (wanted.until and time > wanted.until):
                continue
            shown = line.text.decode("utf-8", "replace").rstrip("\n")
            yield Hit(time, chunk.source, line.stream.decode(), shown)
