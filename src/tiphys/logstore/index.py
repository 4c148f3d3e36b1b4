"""What lies where in the segments, and how far each log file has been read: one SQLite database.

A chunk's row and the position behind it are one transaction: after a crash a line is there once.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from tiphys.api.labels import EVERYTHING, Selector

PODS: Final = "pods"
EVENTS: Final = "events"
AUDIT: Final = "audit"
PUSHED: Final = "pushed"
ORIGINS: Final = (PODS, EVENTS, AUDIT, PUSHED)
STREAMS_MAX: Final = 500  # More are sorted out here instead of by SQLite.

_STREAMS: Final = """
CREATE TABLE IF NOT EXISTS streams (
  id INTEGER PRIMARY KEY,
  namespace TEXT, pod TEXT, uid TEXT, container TEXT, node TEXT, origin TEXT, labels TEXT,
  UNIQUE (namespace, pod, uid, container, node, origin));
"""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS chunks (
  id INTEGER PRIMARY KEY AUTOINCREMENT, segment INTEGER, start INTEGER, stop INTEGER,
  stream INTEGER, first TEXT, last TEXT, lines INTEGER);
CREATE INDEX IF NOT EXISTS chunks_by_time ON chunks (last);
CREATE INDEX IF NOT EXISTS chunks_by_segment ON chunks (segment);
CREATE TABLE IF NOT EXISTS positions (
  device INTEGER, inode INTEGER, head BLOB, offset INTEGER, PRIMARY KEY (device, inode));
"""


class Source(NamedTuple):
    """Whose lines: a container of a pod; for other origins some are empty."""

    namespace: str
    pod: str
    uid: str
    container: str
    node: str
    origin: str = PODS


class Position(NamedTuple):
    """How far a file was read. head: its first bytes, for inodes are used again."""

    device: int
    inode: int
    head: bytes
    offset: int


class Chunk(NamedTuple):
    id: int
    segment: int
    start: int
    stop: int
    stream: int
    last: str  # The time of its newest line.


class Stream(NamedTuple):
    source: Source
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Filter:
    """since, until: RFC 3339 in UTC, empty for no limit. origin: empty for all."""

    since: str = ""
    until: str = ""
    namespace: str = ""
    pod: str = ""
    container: str = ""
    node: str = ""
    origin: str = ""
    labels: Selector = EVERYTHING

    def takes(self, stream: Stream) -> bool:
        source = stream.source
        wanted = (
            (self.namespace, source.namespace),
            (self.pod, source.pod),
            (self.container, source.container),
            (self.node, source.node),
            (self.origin, source.origin),
        )
        equal = all(not asked or asked == have for asked, have in wanted)
        return equal and self.labels.matches(stream.labels)


class Index:
    """Raises sqlite3.Error; `read_only` for readers beside the writer."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        mode = "ro" if read_only else "rwc"
        self._db = sqlite3.connect(f"file:{path}?mode={mode}", uri=True, isolation_level=None)
        self._db.execute("PRAGMA busy_timeout = 5000")
        if not read_only:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_STREAMS + _SCHEMA)
            self._add_origins()

    def _add_origins(self) -> None:
        """Stores of before held lines of pods only."""
        columns = [row[1] for row in self._db.execute("PRAGMA table_info(streams)")]
        if "origin" in columns:
            return
        known = "id, namespace, pod, uid, container, node"
        self._db.executescript(
            f"BEGIN; ALTER TABLE streams RENAME TO streams_before; {_STREAMS}"
            f"INSERT INTO streams ({known}, origin, labels)"
            f" SELECT {known}, '{PODS}', labels FROM streams_before;"
            "DROP TABLE streams_before; COMMIT;"
        )

    def close(self) -> None:
        self._db.close()

    def begin(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        self._db.execute("COMMIT")

    def rollback(self) -> None:
        self._db.execute("ROLLBACK")

    def end_of_segments(self) -> tuple[int, int]:
        """(the last segment, how many bytes of it are promised)."""
        row = self._db.execute(
            "SELECT segment, max(stop) FROM chunks GROUP BY segment ORDER BY segment DESC LIMIT 1"
        ).fetchone()
        return (int(row[0]), int(row[1])) if row else (0, 0)

    def stream(self, source: Source, labels: Mapping[str, str]) -> int:
        """The id of a source; labels are kept as they are now, unless none are known."""
        where = "namespace=? AND pod=? AND uid=? AND container=? AND node=? AND origin=?"
        row = self._db.execute(f"SELECT id, labels FROM streams WHERE {where}", source).fetchone()
        text = json.dumps(dict(labels), sort_keys=True)
        if row is None:
            done = self._db.execute(
                "INSERT INTO streams (namespace, pod, uid, container, node, origin, labels)"
                " VALUES (?,?,?,?,?,?,?)",
                (*source, text),
            )
            return int(done.lastrowid or 0)
        if labels and row[1] != text:
            self._db.execute("UPDATE streams SET labels=? WHERE id=?", (text, row[0]))
        return int(row[0])

    def add_chunk(
        self, segment: int, start: int, stop: int, stream: int, times: tuple[str, str], lines: int
    ) -> None:
        self._db.execute(
            "INSERT INTO chunks (segment, start, stop, stream, first, last, lines)"
            " VALUES (?,?,?,?,?,?,?)",
            (segment, start, stop, stream, *times, lines),
        )

    def positions(self) -> Iterator[Position]:
        for row in self._db.execute("SELECT device, inode, head, offset FROM positions"):
            yield Position(*row)

    def set_position(self, position: Position) -> None:
        self._db.execute("INSERT OR REPLACE INTO positions VALUES (?,?,?,?)", position)

    def forget_position(self, device: int, inode: int) -> None:
        self._db.execute("DELETE FROM positions WHERE device=? AND inode=?", (device, inode))

    def newest_of(self, segment: int) -> str:
        """The time of the newest line of a segment."""
        row = self._db.execute("SELECT max(last) FROM chunks WHERE segment=?", (segment,))
        return str(row.fetchone()[0] or "")

    def drop_segment(self, segment: int) -> None:
        self._db.execute("DELETE FROM chunks WHERE segment=?", (segment,))
        self._db.execute("DELETE FROM streams WHERE id NOT IN (SELECT stream FROM chunks)")

    def line_count(self) -> int:
        return int(self._db.execute("SELECT coalesce(sum(lines), 0) FROM chunks").fetchone()[0])

    def streams(self, wanted: Filter) -> dict[int, Stream]:
        """Those whose lines are wanted, by id."""
        rows = self._db.execute(
            "SELECT id, namespace, pod, uid, container, node, origin, labels FROM streams"
        )
        every = {row[0]: Stream(Source(*row[1:7]), json.loads(row[7])) for row in rows}
        return {number: stream for number, stream in every.items() if wanted.takes(stream)}

    def chunks(
        self, wanted: Filter, streams: Mapping[int, Stream], after: int, last: int
    ) -> list[Chunk]:
        """Those that may have matching lines of the streams, in the order of writing.

        after, last: of ids.
        """
        clauses, values = ["id > ?", "id <= ?"], [str(after), str(last)]
        if wanted.since:
            clauses.append("last >= ?")
            values.append(wanted.since)
        if wanted.until:
            clauses.append("first <= ?")
            values.append(wanted.until)
        if len(streams) <= STREAMS_MAX:
            clauses.append(f"stream IN ({','.join(map(str, streams))})")
        rows = self._db.execute(
            "SELECT id, segment, start, stop, stream, last FROM chunks"
            f" WHERE {' AND '.join(clauses)} ORDER BY id",
            values,
        )
        return [chunk for chunk in map(Chunk._make, rows) if chunk.stream in streams]

    def first_chunk(self) -> int:
        """The oldest one's id; 0 while there is none."""
        row = self._db.execute("SELECT coalesce(min(id), 0) FROM chunks").fetchone()
        return int(row[0])

    def last_chunk(self) -> int:
        """The newest one's id; 0 while there is none."""
        row = self._db.execute("SELECT coalesce(max(id), 0) FROM chunks").fetchone()
        return int(row[0])
