"""The embedded store: one SQLite file with a log of all writes.

    history(revision INTEGER PRIMARY KEY, key TEXT, value BLOB or NULL when deleted, expires_at)
    facts(name TEXT PRIMARY KEY, value INTEGER)      format, compacted

Writes are decided in memory (`heads.Heads`) and given a revision at once; one thread commits
everything that waits as one transaction with one fsync (WAL, synchronous=FULL). Callers return,
and watchers hear of it, only after that. When the disk is full, all waiting writes fail and memory
goes back to what the disk has. After any other failed commit nobody knows what the disk has:
every later write fails and `failed` is set, upon which the process must end and load anew.
Source: sqlite.org/wal.html, /pragma.html#pragma_synchronous; compaction as etcd's and upstream's
apiserver pkg/storage/etcd3/compact.go.
"""

import asyncio
import fcntl
import logging
import os
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from tiphys.lib.clock import Clock
from tiphys.lib.tasks import TaskSet
from tiphys.storage.backend import (
    FIRST_REVISION,
    Compacted,
    Deliver,
    Event,
    FutureRevision,
    KeyValue,
    RangeResult,
    StorageError,
    prefix_end,
)
from tiphys.storage.heads import Heads, Write
from tiphys.storage.subscriptions import Subscription, Subscriptions

log = logging.getLogger(__name__)

FORMAT: Final = 1
COMPACT_SECONDS: Final = 300.0  # Upstream's compactor keeps five minutes.
EXPIRE_SECONDS: Final = 5.0
EXPIRE_BATCH_MAX: Final = 500
PENDING_WRITES_MAX: Final = 20_000  # Above this a write is refused instead of queued.
_ROWS_PER_INSERT: Final = (64, 16, 4, 1)
_COMPACT_ROWS: Final = 2_000  # Rows deleted in one transaction, so that writers get through.

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS facts(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS history(
  revision INTEGER PRIMARY KEY, key TEXT NOT NULL, value BLOB, expires_at INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS history_by_key ON history(key, revision);
"""
# A bare column beside max() comes from the row that has the maximum (sqlite.org/lang_select.html).
_SNAPSHOT: Final = (
    "SELECT key, value, revision FROM (SELECT key, value, max(revision) AS revision FROM history"
    " WHERE key >= ? AND key < ? AND revision <= ? GROUP BY key) WHERE value IS NOT NULL"
)
_DELETE_SUPERSEDED: Final = (
    "DELETE FROM history WHERE revision IN (SELECT h.revision FROM history n JOIN history h"
    " ON h.key = n.key AND h.revision < n.revision"
    " WHERE n.revision > ? AND n.revision <= ? LIMIT ?)"
)
_DELETE_TOMBSTONES: Final = (
    "DELETE FROM history WHERE revision IN (SELECT revision FROM history"
    " WHERE revision > ? AND revision <= ? AND value IS NULL LIMIT ?)"
)

_Chore: TypeAlias = tuple[Callable[[], int], asyncio.Future[int]]


class _Job(NamedTuple):
    write: Write
    done: asyncio.Future[int]


class DiskFull(StorageError):
    """The write was not made: no space left on the device."""


def connect(path: Path) -> sqlite3.Connection:
    """A connection with our settings. Raises sqlite3.Error."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("PRAGMA cache_size=-4096")
    return db


class SqliteBackend:
    """See the module. Use `await SqliteBackend.open(...)`."""

    is_shared: Final = False

    def __init__(self, path: Path, clock: Clock) -> None:
        self.failed = asyncio.Event()
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._heads = Heads()
        self._subscriptions = Subscriptions()
        self._compacted = 0
        self._compaction_done = 0
        self._error: StorageError | None = None
        self._tasks = TaskSet()
        self._lock_file = lock_file(path)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        try:
            self._db = connect(path)
            self._reader_db = connect(path)
            self._load(path)
            # SQLite removed the journal of its first transaction without syncing the directory:
            # after a power cut the journal would be back, and undo the switch to WAL.
            sync_directory(path.parent)
        except sqlite3.Error as error:
            os.close(self._lock_file)
            raise StorageError(f"cannot open the store {path}: {error}") from error
        self._reader = ThreadPoolExecutor(1, "store-reader")
        self._gathered: list[_Job] = []  # Of this turn of the loop.
        self._pending: list[_Job] = []  # The writer's, under `_wake`.
        self._chores: list[_Chore] = []
        self._wake = threading.Condition()
        self._closing = False
        self._writer = threading.Thread(target=self._write_loop, name="store-writer", daemon=True)
        self._writer.start()

    @classmethod
    async def open(cls, path: Path, clock: Clock) -> "SqliteBackend":
        """Open or make the file. Raises StorageError when it is broken, in use or newer than us."""
        backend = cls(path, clock)
        backend._tasks.start(backend._expire_loop(), "store expiry")
        backend._tasks.start(backend._compact_loop(), "store compaction")
        return backend

    def _load(self, path: Path) -> None:
        self._db.executescript(SCHEMA)
        self._db.execute("INSERT OR IGNORE INTO facts VALUES ('format', ?)", (FORMAT,))
        facts: dict[str, int] = dict(self._db.execute("SELECT name, value FROM facts"))
        if facts["format"] > FORMAT:
            raise StorageError(f"{path} has format {facts['format']}, this program knows {FORMAT}")
        self._compacted = facts.get("compacted", 0)
        self._compaction_done = facts.get("compaction_done", 0)
        newest = self._db.execute("SELECT max(revision) FROM history").fetchone()[0] or 0
        self._heads.committed = max(newest, self._compacted, FIRST_REVISION)
        self._heads.assigned = self._heads.committed
        for key, revision, expires_at, deleted in self._db.execute(
            "SELECT key, max(revision), expires_at, value IS NULL FROM history GROUP BY key"
        ):
            if not deleted:
                self._heads.load(key, revision, expires_at)

    # --- reading

    @property
    def revision(self) -> int:
        return self._heads.committed

    async def current(self) -> int:
        return self._heads.committed

    async def get(self, key: str, revision: int = 0) -> KeyValue | None:
        at = self._checked(revision)
        rows = await self._read(
            "SELECT value, revision FROM history WHERE key = ? AND revision <= ?"
            " ORDER BY revision DESC LIMIT 1",
            (key, at),
        )
        self._checked(revision)
        return KeyValue(key, rows[0][0], rows[0][1]) if rows and rows[0][0] is not None else None

    async def range(
        self, prefix: str, *, start: str = "", limit: int = 0, revision: int = 0
    ) -> RangeResult:
        at = self._checked(revision)
        keys = (max(prefix, start), prefix_end(prefix), at)
        text = _SNAPSHOT + (" LIMIT ?" if limit else "")
        rows = await self._read(text, (*keys, limit) if limit else keys)
        count = len(rows)
        if limit and count == limit:
            count = (await self._read(f"SELECT count(*) FROM ({_SNAPSHOT})", keys))[0][0]
        self._checked(revision)  # It may have been compacted while we read.
        items = [KeyValue(*row) for row in rows]
        return RangeResult(items, at, count > len(items), count - len(items))

    def _checked(self, revision: int) -> int:
        if revision > self._heads.committed:
            raise FutureRevision(revision, self._heads.committed)
        if revision and revision < self._compacted:
            raise Compacted(revision, self._compacted)
        return revision or self._heads.committed

    async def _read(self, text: str, values: tuple[Any, ...]) -> list[Any]:
        def work() -> list[Any]:
            return self._reader_db.execute(text, values).fetchall()

        try:
            return await self._loop.run_in_executor(self._reader, work)
        except sqlite3.Error as error:
            raise StorageError(f"the store cannot be read: {error}") from error

    async def watch(self, prefix: str, start_revision: int, deliver: Deliver) -> Callable[[], None]:
        if start_revision <= self._compacted:
            raise Compacted(start_revision, self._compacted + 1)
        subscription = Subscription(prefix, deliver)
        number = self._subscriptions.add(subscription)
        now = self._heads.committed
        past: list[Any] = []
        if start_revision <= now:
            past = await self._read(
                "SELECT key, value, revision FROM history WHERE revision BETWEEN ? AND ?"
                " AND key >= ? AND key < ? ORDER BY revision",
                (start_revision, now, prefix, prefix_end(prefix)),
            )
        if start_revision <= self._compacted:
            self._subscriptions.remove(number)
            raise Compacted(start_revision, self._compacted + 1)
        subscription.go_live([Event(*row) for row in past])
        return lambda: self._subscriptions.remove(number)

    # --- writing

    def create(self, key: str, value: bytes, *, ttl_seconds: int = 0) -> asyncio.Future[int]:
        self._accepting()
        return self._queue(self._heads.decide_create(key, value, self._expiry(ttl_seconds)))

    def update(
        self, key: str, value: bytes, expected_revision: int, *, ttl_seconds: int = 0
    ) -> asyncio.Future[int]:
        self._accepting()
        expires_at = self._expiry(ttl_seconds)
        return self._queue(self._heads.decide_update(key, value, expected_revision, expires_at))

    def delete(self, key: str, expected_revision: int) -> asyncio.Future[int]:
        self._accepting()
        return self._queue(self._heads.decide_delete(key, expected_revision))

    def _expiry(self, ttl_seconds: int) -> int:
        return int(self._clock.now().timestamp()) + ttl_seconds if ttl_seconds else 0

    def _accepting(self) -> None:
        if self._error is not None:
            raise StorageError(f"the store has failed: {self._error}") from self._error
        if self._closing:
            raise StorageError("the store is closed")
        if len(self._gathered) + len(self._pending) >= PENDING_WRITES_MAX:
            raise StorageError("too many writes are waiting for the disk")

    def _queue(self, write: Write) -> asyncio.Future[int]:
        """The writer gets all of a turn of the loop at once: one commit, one switch of threads."""
        done: asyncio.Future[int] = self._loop.create_future()
        if not self._gathered:
            self._loop.call_soon(self._hand_over)
        self._gathered.append(_Job(write, done))
        return done

    def _hand_over(self) -> None:
        with self._wake:
            self._pending += self._gathered
            self._gathered = []
            self._wake.notify()

    def _write_loop(self) -> None:
        """The writer thread: commits everything that waits, again and again."""
        while True:
            with self._wake:
                while not self._pending and not self._chores and not self._closing:
                    self._wake.wait()
                jobs, self._pending = self._pending, []
                chores, self._chores = self._chores, []
            self._do_chores(chores)
            if not jobs:
                if self._closing:
                    return
                continue
            try:
                self._commit([job.write for job in jobs])
            except sqlite3.Error as error:
                if not self._fail(jobs, error):
                    return
                continue
            self._loop.call_soon_threadsafe(self._committed, jobs)

    def _commit(self, writes: list[Write]) -> None:
        rows = [(w.revision, w.key, w.value, w.expires_at) for w in writes]
        self._db.execute("BEGIN IMMEDIATE")
        done = 0
        # One statement for many rows: each step gives up the interpreter's lock and waits for it.
        for size in _ROWS_PER_INSERT:
            text = "INSERT INTO history VALUES " + ",".join(["(?,?,?,?)"] * size)
            while len(rows) - done >= size:
                chunk = rows[done : done + size]
                self._db.execute(text, [value for row in chunk for value in row])
                done += size
        self._db.execute("COMMIT")

    def _committed(self, jobs: list[_Job]) -> None:
        """In the loop, after the fsync: watchers first, so that a caller finds its own write."""
        self._heads.committed = jobs[-1].write.revision
        self._subscriptions.offer([Event(w.key, w.value, w.revision) for w, _ in jobs])
        for write, done in jobs:
            if not done.done():
                done.set_result(write.revision)

    def _fail(self, jobs: list[_Job], error: sqlite3.Error) -> bool:
        """In the writer thread: True when writing may go on (disk full, all rolled back)."""
        full = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error:
            full = False
        settled = threading.Event()
        self._loop.call_soon_threadsafe(self._give_up, jobs, error, full, settled)
        # Nothing may be decided against writes that failed: wait until the loop forgot them.
        settled.wait()
        return full

    def _give_up(
        self, jobs: list[_Job], error: sqlite3.Error, full: bool, settled: threading.Event
    ) -> None:
        with self._wake:
            jobs = jobs + self._pending + self._gathered
            self._pending, self._gathered = [], []
        cause: StorageError = StorageError(f"the store could not commit: {error}")
        try:
            if full:
                self._heads.roll_back(self._heads_on_disk({job.write.key for job in jobs}))
                cause = DiskFull("no space left on the device of the store")
        except sqlite3.Error as again:
            full, cause = False, StorageError(f"the store cannot be read: {again}")
        if not full:
            self._error = cause
            self.failed.set()
        log.error("writes failed", extra={"count": len(jobs), "why": cause})
        for _, done in jobs:
            if not done.done():
                done.set_exception(cause)
        settled.set()

    def _heads_on_disk(self, keys: set[str]) -> dict[str, int]:
        found = dict.fromkeys(keys, 0)
        for key in keys:
            row = self._db.execute(
                "SELECT revision, value IS NULL FROM history WHERE key = ?"
                " ORDER BY revision DESC LIMIT 1",
                (key,),
            ).fetchone()
            if row and not row[1]:
                found[key] = row[0]
        return found

    # --- what time does

    async def _expire_loop(self) -> None:
        while True:
            await self._clock.sleep(EXPIRE_SECONDS)
            await self.expire()

    async def expire(self) -> None:
        """Delete the keys whose time is over."""
        now = int(self._clock.now().timestamp())
        while found := self._heads.expired(now, EXPIRE_BATCH_MAX):
            # None of them has been written since: found and decided in one step of the loop.
            try:
                await asyncio.gather(*(self.delete(key, revision) for key, revision in found))
            except StorageError as error:
                log.warning("keys did not expire", extra={"why": error})
                return

    async def _compact_loop(self) -> None:
        while True:
            before = self._heads.committed
            await self._clock.sleep(COMPACT_SECONDS)
            try:
                await self.compact(before)
            except StorageError as error:
                log.warning("compaction failed", extra={"why": error})

    async def compact(self, revision: int) -> None:
        if revision <= self._compacted or revision > self._heads.committed:
            return
        self._compacted = revision
        # Superseded rows first, all of them: a tombstone must outlive what it hides.
        for text in (_DELETE_SUPERSEDED, _DELETE_TOMBSTONES):
            deleted = _COMPACT_ROWS
            while deleted >= _COMPACT_ROWS:
                deleted = await self._chore(partial(self._compact_some, text, revision))
        await self._chore(partial(self._set_fact, "compaction_done", revision))
        self._compaction_done = revision

    def _compact_some(self, text: str, revision: int) -> int:
        """In the writer thread: delete a bounded number of rows; returns how many."""
        self._db.execute("BEGIN IMMEDIATE")
        self._set_fact("compacted", revision)
        values = (self._compaction_done, revision, _COMPACT_ROWS)
        deleted = self._db.execute(text, values).rowcount
        self._db.execute("COMMIT")
        return deleted

    def _set_fact(self, name: str, value: int) -> int:
        self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))
        return value

    async def _chore(self, work: Callable[[], int]) -> int:
        """Run work in the writer thread, between two commits. Raises StorageError."""
        done: asyncio.Future[int] = self._loop.create_future()
        with self._wake:
            if self._closing:
                raise StorageError("the store is closed")
            self._chores.append((work, done))
            self._wake.notify()
        return await done

    def _do_chores(self, chores: list[_Chore]) -> None:
        for work, done in chores:
            try:
                result, error = work(), None
            except sqlite3.Error as cause:
                result, error = 0, StorageError(f"the store could not be compacted: {cause}")
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
            self._loop.call_soon_threadsafe(_settle, done, result, error)

    async def close(self) -> None:
        """Commit what waits, then let go of the file."""
        if self._closing:
            return
        await self._tasks.close()
        self._hand_over()
        with self._wake:
            self._closing = True
            self._wake.notify()
        await self._loop.run_in_executor(None, self._writer.join)
        self._reader.shutdown()
        self._reader_db.close()
        self._db.close()
        os.close(self._lock_file)


def sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _settle(done: asyncio.Future[int], result: int, error: StorageError | None) -> None:
    if done.done():
        return
    if error is not None:
        done.set_exception(error)
    else:
        done.set_result(result)


def lock_file(store: Path) -> int:
    """The descriptor of a lock on the store, let go when it is closed.

    Raises StorageError when another process has it.
    """
    path = store.with_name(store.name + ".lock")
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        raise StorageError(f"the store is in use by another process ({path})") from error
    return file
