"""A whole store at one revision, and the file that keeps it.

The file is text in gzip, one JSON document a line:

    {"format":"tiphys-store","version":1,"revision":R,"taken":"2026-01-01T00:00:00Z","keys":N}
    {"key":"/registry/...","revision":M,"value":"BASE64"}          N times, in the order of the keys
    {"key":...,"revision":M,"value":"BASE64","expires":UNIX SECONDS}
    {"sha256":"HEX"}                                               of all lines before, newlines too

`revision` is the store's when the snapshot was taken, and of each key that of its last write. The
file holds every Secret as the store does: it is for its owner only. It appears whole or not at all.
"""

import base64
import binascii
import gzip
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from tiphys.api.meta import rfc3339
from tiphys.storage.backend import StorageError

FORMAT: Final = "tiphys-store"
VERSION: Final = 1
GZIP_LEVEL: Final = 6


class Item(NamedTuple):
    key: str
    value: bytes
    revision: int
    expires_at: int = 0  # Unix seconds; 0 = never


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All keys as of a revision, in order."""

    revision: int
    items: list[Item]

    def alive(self, now: int) -> list[Item]:
        """Without the keys that have ended meanwhile."""
        return [item for item in self.items if not item.expires_at or item.expires_at > now]


def write_snapshot(path: Path, snapshot: Snapshot, taken: datetime) -> None:
    """Write a file that appears whole, and only when it is on the disk. Raises OSError."""
    part = path.with_name(path.name + ".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as raw:
            with gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=GZIP_LEVEL, mtime=0) as out:
                _write_lines(out, snapshot, taken)
            raw.flush()
            os.fsync(raw.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _write_lines(out: gzip.GzipFile, snapshot: Snapshot, taken: datetime) -> None:
    digest = hashlib.sha256()

    def line(document: dict[str, Any]) -> None:
        data = orjson.dumps(document) + b"\n"
        digest.update(data)
        out.write(data)

    line(
        {
            "format": FORMAT,
            "version": VERSION,
            "revision": snapshot.revision,
            "taken": rfc3339(taken),
            "keys": len(snapshot.items),
        }
    )
    for item in snapshot.items:
        document = {
            "key": item.key,
            "revision": item.revision,
            "value": base64.b64encode(item.value).decode(),
        }
        line(document | ({"expires": item.expires_at} if item.expires_at else {}))
    out.write(orjson.dumps({"sha256": digest.hexdigest()}) + b"\n")


def read_snapshot(path: Path) -> Snapshot:
    """Raises StorageError when the file is damaged or no snapshot, OSError."""
    try:
        with gzip.open(path, "rb") as file:
            return _parsed(file)
    except (EOFError, gzip.BadGzipFile, ValueError, KeyError, TypeError, binascii.Error) as error:
        raise StorageError(f"{path} is no snapshot of a store, or damaged: {error}") from error


def _parsed(file: gzip.GzipFile) -> Snapshot:
    lines = iter(file)
    digest = hashlib.sha256()
    header = _next(lines, digest)
    if header["format"] != FORMAT:
        raise ValueError(f"its format is {header['format']!r}")
    if header["version"] > VERSION:
        raise ValueError(f"its version is {header['version']}, this program knows {VERSION}")
    items = [_item(_next(lines, digest)) for _ in range(header["keys"])]
    wanted = digest.hexdigest()
    if orjson.loads(next(lines, b"null"))["sha256"] != wanted:
        raise ValueError("its checksum is wrong")
    return Snapshot(header["revision"], items)


def _next(lines: Iterator[bytes], digest: "hashlib._Hash") -> dict[str, Any]:
    data = next(lines, b"")
    if not data:
        raise ValueError("it ends too early")
    digest.update(data)
    document: dict[str, Any] = orjson.loads(data)
    return document


def _item(document: dict[str, Any]) -> Item:
    value = base64.b64decode(document["value"], validate=True)
    return Item(document["key"], value, document["revision"], document.get("expires", 0))
