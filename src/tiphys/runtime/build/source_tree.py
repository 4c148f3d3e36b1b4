"""Where COPY and ADD take files from: a build context, or the files of another image.

Every source is found inside of the tree by the kernel (openat2), links included; below a source no
link is followed.
"""

import contextlib
import hashlib
import os
import posixpath
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tiphys.runtime import syscalls as sys
from tiphys.runtime.build import ignore
from tiphys.runtime.build.ignore import Pattern

IGNORE_FILE: Final = ".dockerignore"
IGNORE_BYTES_MAX: Final = 1 << 20
READ_BYTES: Final = 1 << 20
_WILD: Final = re.compile(r"[*?\[\\]")


@dataclass(frozen=True)
class Found:
    """One file: its path in the tree, its path below the source, and what lstat says."""

    path: str
    below: str
    status: os.stat_result


class SourceTree:
    """Files below a directory. `keeps_owners` for an image's files, not for a context's."""

    def __init__(
        self, root: str, patterns: Sequence[Pattern] = (), *, keeps_owners: bool = False
    ) -> None:
        self.root = root
        self.keeps_owners = keeps_owners
        self._patterns = patterns

    def open(self, path: str, flags: int = os.O_PATH) -> int:
        """A descriptor of what is at path inside the tree. Raises: OSError."""
        at = os.open(self.root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            resolve = sys.RESOLVE_IN_ROOT | sys.RESOLVE_NO_MAGICLINKS
            return sys.openat2(at, path or ".", flags, resolve)
        finally:
            os.close(at)

    def is_kept(self, path: str) -> bool:
        return not ignore.is_ignored(path, self._patterns)

    def match(self, pattern: str) -> list[str]:
        """Paths that a source of COPY names, sorted; [] when there are none.

        A `..` at the beginning stays inside of the tree, as in Docker.
        """
        place = posixpath.normpath(posixpath.join("/", pattern)).strip("/")
        if not _WILD.search(place):
            with contextlib.suppress(OSError):
                os.close(self.open(place))
                return [place] if self.is_kept(place) or self._holds_kept(place) else []
            return []
        found = [""]
        for part in place.split("/"):
            expression = re.compile(ignore.translate(part).removesuffix(r"(?:/.*)?\Z"))
            found = [
                posixpath.join(above, name)
                for above in found
                for name in self._names(above)
                if expression.fullmatch(name)
            ]
        return sorted(path for path in found if self.is_kept(path))

    def _holds_kept(self, place: str) -> bool:
        return any(self.is_kept(one.path) for one in self.walk(place))

    def _names(self, path: str) -> list[str]:
        try:
            at = self.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            return []
        try:
            return sorted(os.listdir(at))
        finally:
            os.close(at)

    def walk(self, source: str) -> Iterator[Found]:
        """The source itself (`below` is "") and, for a directory, all that is kept below it."""
        at = self.open(source)
        try:
            status = os.stat(at)
            yield Found(source, "", status)
            if stat.S_ISDIR(status.st_mode):
                yield from self._walk(self.open(source, os.O_RDONLY | os.O_DIRECTORY), source, "")
        finally:
            os.close(at)

    def _walk(self, at: int, path: str, below: str) -> Iterator[Found]:
        try:
            for name in sorted(os.listdir(at)):
                inner = posixpath.join(path, name)
                kept = self.is_kept(inner)
                status = os.stat(name, dir_fd=at, follow_symlinks=False)
                directory = stat.S_ISDIR(status.st_mode)
                if not kept and not (directory and ignore.may_hold_kept(self._patterns)):
                    continue
                here = posixpath.join(below, name)
                if kept:
                    yield Found(inner, here, status)
                if directory:
                    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                    yield from self._walk(os.open(name, flags, dir_fd=at), inner, here)
        finally:
            os.close(at)

    def digest(self, source: str) -> str:
        """A digest of all that COPY of source writes: names, modes, contents, not times."""
        proof = hashlib.sha256()
        for found in self.walk(source):
            status = found.status
            owner = (status.st_uid, status.st_gid) if self.keeps_owners else (0, 0)
            proof.update(repr((found.below, status.st_mode, owner, status.st_rdev)).encode())
            if stat.S_ISLNK(status.st_mode):
                proof.update(self.read_link(found.path).encode("utf-8", "surrogateescape"))
            elif stat.S_ISREG(status.st_mode):
                proof.update(self._digest_of_file(found.path))
        return proof.hexdigest()

    def read_link(self, path: str) -> str:
        above, name = posixpath.split(path)
        at = self.open(above)
        try:
            return os.readlink(name, dir_fd=at)
        finally:
            os.close(at)

    def _digest_of_file(self, path: str) -> bytes:
        proof = hashlib.sha256()
        with open(self.open(path, os.O_RDONLY), "rb") as file:
            while piece := file.read(READ_BYTES):
                proof.update(piece)
        return proof.digest()


def context(root: str, dockerfile: str = "") -> SourceTree:
    """A build context with its ignore file; DOCKERFILE.dockerignore beside it comes first.

    Raises: OSError, ValueError.
    """
    own = f"{dockerfile}{IGNORE_FILE}"
    names = [own] if dockerfile and os.path.exists(own) else [os.path.join(root, IGNORE_FILE)]
    for name in names:
        with contextlib.suppress(FileNotFoundError), open(name) as file:
            return SourceTree(root, ignore.parse(file.read(IGNORE_BYTES_MAX)))
    return SourceTree(root)
