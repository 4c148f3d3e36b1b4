"""Records what SQLite writes and syncs, so that a power cut can be simulated afterwards.

The default VFS of the SQLite library that Python itself uses is wrapped: opened files get write,
truncate and sync methods that note the call and then do it. Nothing is preloaded or replaced on
disk. `files_after` gives the files as a disk might hold them when the power fails after a number of
steps: all that was synced, and of the rest any part.
Source: sqlite.org/c3ref/vfs.html, /c3ref/io_methods.html (layout of the structs, 64-bit).
"""

import ctypes
import os
import random
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

_POINTER = 8
_X_OPEN, _X_DELETE = 40, 48
_VFS_BYTES = 168
_X_WRITE, _X_TRUNCATE, _X_SYNC = 24, 32, 40
_METHODS_BYTES = 152
_SECTOR_BYTES = 512

_OPEN = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p
)
_DELETE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int)
_WRITE = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
)
_TRUNCATE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int64)
_SYNC = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)


class Step(NamedTuple):
    kind: str  # write, truncate, sync, delete (offset 1: with its directory), sync directory, ack
    path: str = ""
    offset: int = 0
    data: bytes = b""


def _sqlite_library() -> Any:
    """The library that the sqlite3 module has loaded, or None where it is built in."""
    import sqlite3

    sqlite3.connect(":memory:").close()
    for line in Path("/proc/self/maps").read_text().splitlines():
        if "libsqlite3" in line:
            return ctypes.CDLL(line.split()[-1])
    return None


class Recorder:
    """The steps of all files, in order; `ack` puts the test's own marks among them."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._kept: list[Any] = []  # Callbacks and structs that SQLite points to.

    def ack(self, text: str) -> None:
        self.steps.append(Step("ack", text))

    def _address(self, base: int, offset: int) -> int:
        return ctypes.c_uint64.from_address(base + offset).value

    def _set(self, base: int, offset: int, callback: Any) -> None:
        self._kept.append(callback)
        pointer = ctypes.cast(callback, ctypes.c_void_p).value
        ctypes.c_uint64.from_address(base + offset).value = pointer or 0

    def vfs(self, original: int) -> int:
        """A copy of a VFS whose files are recorded; returns its address."""
        copy = ctypes.create_string_buffer(ctypes.string_at(original, _VFS_BYTES), _VFS_BYTES)
        name = ctypes.create_string_buffer(b"recording")
        self._kept += [copy, name]
        base = ctypes.addressof(copy)
        ctypes.c_uint64.from_address(base + 24).value = ctypes.addressof(name)
        open_original = _OPEN(self._address(original, _X_OPEN))

        def x_open(vfs: int, path: int | None, file: int, flags: int, out: int) -> int:
            # The pointer itself: SQLite names the shared memory by it as long as the file is open.
            code: int = open_original(vfs, path, file, flags, out)
            methods = self._address(file, 0)
            if code == 0 and path and methods:
                self._wrap(file, methods, ctypes.string_at(path).decode())
            return code

        delete_original = _DELETE(self._address(original, _X_DELETE))

        def x_delete(vfs: int, path: bytes, sync_directory: int) -> int:
            code: int = delete_original(vfs, path, sync_directory)
            if code == 0:
                self.steps.append(Step("delete", path.decode(), sync_directory))
            return code

        self._set(base, _X_OPEN, _OPEN(x_open))
        self._set(base, _X_DELETE, _DELETE(x_delete))
        return base

    def _wrap(self, file: int, methods: int, path: str) -> None:
        copy = ctypes.create_string_buffer(
            ctypes.string_at(methods, _METHODS_BYTES), _METHODS_BYTES
        )
        self._kept.append(copy)
        base = ctypes.addressof(copy)
        write = _WRITE(self._address(methods, _X_WRITE))
        truncate = _TRUNCATE(self._address(methods, _X_TRUNCATE))
        sync = _SYNC(self._address(methods, _X_SYNC))

        def x_write(handle: int, data: int, size: int, offset: int) -> int:
            self.steps.append(Step("write", path, offset, ctypes.string_at(data, size)))
            code: int = write(handle, data, size, offset)
            return code

        def x_truncate(handle: int, size: int) -> int:
            self.steps.append(Step("truncate", path, size))
            code: int = truncate(handle, size)
            return code

        def x_sync(handle: int, flags: int) -> int:
            code: int = sync(handle, flags)
            self.steps.append(Step("sync", path))
            return code

        self._set(base, _X_WRITE, _WRITE(x_write))
        self._set(base, _X_TRUNCATE, _TRUNCATE(x_truncate))
        self._set(base, _X_SYNC, _SYNC(x_sync))
        ctypes.c_uint64.from_address(file).value = base


@contextmanager
def recording() -> Iterator[Recorder | None]:
    """New connections are recorded inside the block; None where SQLite cannot be reached."""
    library = _sqlite_library()
    if library is None:
        yield None
        return
    library.sqlite3_vfs_find.restype = ctypes.c_void_p
    original = library.sqlite3_vfs_find(None)
    recorder = Recorder()
    base = recorder.vfs(original)
    library.sqlite3_vfs_register(ctypes.c_void_p(base), 1)
    fsync = os.fsync

    def recorded_fsync(file: int) -> None:
        fsync(file)
        if stat.S_ISDIR(os.fstat(file).st_mode):
            recorder.steps.append(Step("sync directory"))

    os.fsync = recorded_fsync  # type: ignore[assignment]
    try:
        yield recorder
    finally:
        os.fsync = fsync
        library.sqlite3_vfs_unregister(ctypes.c_void_p(base))
        library.sqlite3_vfs_register(ctypes.c_void_p(original), 1)


def files_after(steps: list[Step], rng: random.Random) -> dict[str, bytes]:
    """Files by path as a disk may hold them: unsynced writes whole, torn, or not at all."""
    synced_until = {s.path: i for i, s in enumerate(steps) if s.kind == "sync"}
    directory_until = max(
        (i for i, s in enumerate(steps) if s.kind == "sync directory"), default=-1
    )
    files: dict[str, bytearray] = {}
    for index, step in enumerate(steps):
        if step.kind == "delete":
            if step.offset or index < directory_until or rng.random() < 0.5:
                files.pop(step.path, None)
            continue
        if step.kind not in {"write", "truncate"}:
            continue
        content = files.setdefault(step.path, bytearray())
        durable = index < synced_until.get(step.path, -1)
        if not durable and rng.random() < 0.5:
            continue
        if step.kind == "truncate":
            del content[step.offset :]
            continue
        data = step.data
        if not durable and rng.random() < 0.3:
            data = data[: rng.randrange(0, len(data) + 1, _SECTOR_BYTES)]
        if len(content) < step.offset:
            content.extend(bytes(step.offset - len(content)))
        content[step.offset : step.offset + len(data)] = data
    return {path: bytes(content) for path, content in files.items()}
