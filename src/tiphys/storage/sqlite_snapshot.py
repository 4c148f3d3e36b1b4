"""Snapshots of the embedded store: taken while it is in use, loaded while it is not."""

import os
import sqlite3
from pathlib import Path
from typing import Final

from tiphys.storage.backend import FIRST_REVISION, StorageError
from tiphys.storage.snapshot import Item, Snapshot
from tiphys.storage.sqlite import FORMAT, SCHEMA, connect, lock_file, sync_directory

_SUFFIXES: Final = ("", "-wal", "-shm")
_NEWEST: Final = (
    "SELECT key, value, revision, expires_at FROM (SELECT key, value, max(revision) AS revision,"
    " expires_at FROM history GROUP BY key) WHERE value IS NOT NULL ORDER BY key"
)


def take(path: Path) -> Snapshot:
    """What is committed at one moment; writers are not kept waiting.

    Raises StorageError when there is no store or it cannot be read.
    """
    if not path.exists():
        raise StorageError(f"there is no store at {path}")
    try:
        db = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=10)
        try:
            db.execute("BEGIN")  # All reads see the state of the first one.
            revision = _revision(db)
            items = [Item(*row) for row in db.execute(_NEWEST)]
        finally:
            db.close()
    except sqlite3.Error as error:
        raise StorageError(f"the store {path} cannot be read: {error}") from error
    return Snapshot(revision, items)


def _revision(db: sqlite3.Connection) -> int:
    newest = db.execute("SELECT max(revision) FROM history").fetchone()[0] or 0
    facts: dict[str, int] = dict(db.execute("SELECT name, value FROM facts"))
    return max(newest, facts.get("compacted", 0), FIRST_REVISION)


def load(path: Path, snapshot: Snapshot, now: int) -> Path | None:
    """Replace the store by a snapshot; returns where the old one is kept.

    Its revision is then above all that the old one and the snapshot have told, and everything up
    to it counts as compacted: a watch that goes on from before is told to list anew. The keys
    keep their own revisions as far as these are unique.

    Raises StorageError when the store is in use or cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = lock_file(path)
    try:
        told = max(take(path).revision if path.exists() else 0, snapshot.revision)
        items, revision = numbered(snapshot.alive(now), told)
        new = path.with_name(path.name + ".new")
        _remove(new)
        _write(new, items, revision)
        kept = _put_aside(path, now) if path.exists() else None
        os.replace(new, path)
        sync_directory(path.parent)
        return kept
    except (sqlite3.Error, OSError) as error:
        raise StorageError(f"the store {path} cannot be written: {error}") from error
    finally:
        os.close(lock)


def numbered(items: list[Item], told: int) -> tuple[list[Item], int]:
    """The items with a revision each, and the store's; told is the highest known to clients.

    In etcd several keys may have been written at once; here each write has its own revision.
    """
    seen: set[int] = set()
    top = told
    result = []
    for item in items:
        revision = item.revision
        if revision in seen:
            top += 1
            revision = top
        seen.add(revision)
        result.append(item._replace(revision=revision))
    return result, top + 1


def _write(path: Path, items: list[Item], revision: int) -> None:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    db = connect(path)
    try:
        db.executescript(SCHEMA)
        db.execute("BEGIN")
        facts = (("format", FORMAT), ("compacted", revision), ("compaction_done", revision))
        db.executemany("INSERT INTO facts VALUES (?, ?)", facts)
        rows = ((i.revision, i.key, i.value, i.expires_at) for i in items)
        db.executemany("INSERT INTO history VALUES (?, ?, ?, ?)", rows)
        db.execute("COMMIT")
        # Into the one file that is then moved.
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        db.close()


def _put_aside(path: Path, now: int) -> Path:
    kept = path.with_name(f"{path.name}.before-{now}")
    for suffix in _SUFFIXES[1:] + _SUFFIXES[:1]:
        source = path.with_name(path.name + suffix)
        if source.exists():
            os.replace(source, kept.with_name(kept.name + suffix))
    return kept


def _remove(path: Path) -> None:
    for suffix in _SUFFIXES:
        path.with_name(path.name + suffix).unlink(missing_ok=True)
