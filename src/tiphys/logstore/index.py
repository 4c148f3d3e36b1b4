"""What lies where in the segments, and how far each log file has been read: one SQLite database.

A chunk's row and the position behind it are one transaction: after a crash a line is there once.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS streams (
  id INTEGER PRIMARY KEY,
  namespace TEXT, pod TEXT, uid TEXT, container TEXT, node TEXT, labels TEXT,
  UNIQUE (namespace, pod, uid, container, node));
CREATE TABLE IF NOT EXISTS chunks (
  id INTEGER PRIMARY KEY AUTOINCREMENT, segment INTEGER, start INTEGER, stop INTEGER,
  stream INTEGER, first TEXT, last TEXT, lines INTEGER);
CREATE INDEX IF NOT EXISTS chunks_by_time ON chunks (last);
CREATE INDEX IF NOT EXISTS chunks_by_segment ON chunks (segment);
CREATE TABLE IF NOT EXISTS positions (
  device INTEGER, inode INTEGER, head BLOB, offset INTEGER, PRIMARY KEY (device, inode));
"""


class Source(NamedTuple):
    """Whose lines: a container of a pod."""

    namespace: str
    pod: str
    uid: str
    container: str
    node: str


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
    source: Source
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Filter:
    """since, until: RFC 3339 in UTC, empty for no limit. labels: equal ones."""

    since: str = ""
    until: str = ""
    namespace: str = ""
    pod: str = ""
    container: str = ""
    node: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


class Index:
    """Raises sqlite3.Error; `read_only` for readers beside the writer."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        mode = "ro" if read_only else "rwc"
        self._db = sqlite3.connect(f"file:{path}?mode={mode}", uri=True, isolation_level=None)
        self._db.execute("PRAGMA busy_timeout = 5000")
        if not read_only:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA)

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
        where = "namespace=? AND pod=? AND uid=? AND container=? AND node=?"
        row = self._db.execute(f"SELECT id, labels FROM streams WHERE {where}", source).fetchone()
        text = json.dumps(dict(labels), sort_keys=True)
        if row is None:
            done = self._db.execute(
                "INSERT INTO streams (namespace, pod, uid, container, node, labels)"
                " VALUES (?,?,?,?,?,?)",
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

    def chunks(self, wanted: Filter, after_id: int = 0) -> list[Chunk]:
        """Those that may have matching lines, in the order of writing."""
        clauses, values = ["chunks.id > ?"], [str(after_id)]
        for column, value in (
            ("namespace", wanted.namespace),
            ("pod", wanted.pod),
            ("container", wanted.container),
            ("node", wanted.node),
        ):
            if value:
                clauses.append(f"{column} = ?")
                values.append(value)
        if wanted.since:
            clauses.append("last >= ?")
            values.append(wanted.since)
        if wanted.until:
            clauses.append("first <= ?")
            values.append(wanted.until)
        rows = self._db.execute(
            "SELECT chunks.id, segment, start, stop, namespace, pod, uid, container, node, labels"
            " FROM chunks JOIN streams ON streams.id = chunks.stream"
            f" WHERE {' AND '.join(clauses)} ORDER BY chunks.id",
            values,
        )
        found = []
        for row in rows:
            labels = json.loads(row[9])
            if wanted.labels.items() <= labels.items():
                found.append(Chunk(row[0], row[1], row[2], row[3], Source(*row[4:9]), labels))
        return found
