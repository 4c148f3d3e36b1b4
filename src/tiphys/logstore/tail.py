"""Reading the store on from where one stopped, in the order of writing."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from tiphys.cri.log_line import LogFormatError, parse
from tiphys.logstore import segment
from tiphys.logstore.index import Filter, Index, Stream
from tiphys.logstore.outputs.record import Record
from tiphys.logstore.store import INDEX_NAME

BATCH_BYTES_MAX: Final = 1 << 20
CHUNKS_MAX: Final = 1000  # Looked at in one step.


class Tailed(NamedTuple):
    """What follows a place; last: the place behind it. missing: whether retention was faster."""

    records: list[Record]
    last: int
    missing: bool


class Tail:
    """Raises OSError, sqlite3.Error."""

    def __init__(self, directory: Path, origins: Collection[str]) -> None:
        self._directory = directory
        self._origins = frozenset(origins)
        self._index = Index(directory / INDEX_NAME, read_only=True)

    def close(self) -> None:
        self._index.close()

    def end(self) -> int:
        """The place behind all that is there."""
        return self._index.last_chunk()

    def after(self, place: int) -> Tailed:
        """Up to a batch; the same place for nothing new."""
        newest = min(self._index.last_chunk(), place + CHUNKS_MAX)
        if newest <= place:
            return Tailed([], place, False)
        missing = self._index.first_chunk() > place + 1
        streams = self._index.streams(Filter())
        records: list[Record] = []
        size = 0
        for chunk in self._index.chunks(Filter(), streams, place, newest):
            stream = streams[chunk.stream]
            if stream.source.origin in self._origins:
                size += chunk.stop - chunk.start
                if records and size > BATCH_BYTES_MAX:
                    return Tailed(records, place, missing)
                records += self._records(chunk.id, chunk.segment, chunk.start, chunk.stop, stream)
            place = chunk.id
        return Tailed(records, newest, missing)

    def _records(
        self, number: int, segment_number: int, start: int, stop: int, stream: Stream
    ) -> list[Record]:
        path = segment.path_of(self._directory, segment_number)
        with path.open("rb") as file:
            file.seek(start)
            data = file.read(stop - start)
        lines = data.split(b"\n")[:-1]
        labels: Mapping[str, str] = stream.labels
        found = []
        for at, raw in enumerate(lines):
            try:
                line = parse(raw)
            except LogFormatError:
                continue
            text = line.text.decode("utf-8", "replace").rstrip("\n")
            time = line.stamp.decode("ascii", "replace")
            found.append(
                Record(f"{number}.{at}", time, stream.source, labels, line.stream.decode(), text)
            )
        return found
