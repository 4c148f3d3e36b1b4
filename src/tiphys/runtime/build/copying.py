"""COPY and ADD: files of a tree into the mounted files of an image.

Source: docs.docker.com/reference/dockerfile#copy, #add (what is a directory, owners, archives).
Every place in the image is found by openat2 inside of its root; what is missing is made 0755.
"""

import contextlib
import os
import posixpath
import shutil
import stat
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tiphys.runtime.build.source_tree import Found, SourceTree
from tiphys.runtime.images import layers
from tiphys.runtime.oci.rootfs import Rootfs

COPY_BYTES: Final = 1 << 20
_XATTRS_KEPT: Final = ("security.capability", "user.")


class CopyError(ValueError):
    """What cannot be copied, and why."""


@dataclass(frozen=True)
class Copy:
    """sources are paths of the tree; owner None keeps the tree's, or root for a context."""

    sources: Sequence[str]
    destination: str  # Absolute; ends with "/" for a directory.
    owner: tuple[int, int] | None = None
    mode: int | None = None
    unpacks: bool = False  # ADD: archives are unpacked.


def copy(tree: SourceTree, work: Copy, root: Rootfs) -> None:
    """Raises: CopyError, OSError."""
    many = len(work.sources) > 1
    if many and not work.destination.endswith("/"):
        raise CopyError(
            "When using COPY with more than one source file, the destination must be a directory "
            "and end with a /"
        )
    for source in work.sources:
        _copy_source(tree, work, root, source)


def _copy_source(tree: SourceTree, work: Copy, root: Rootfs, source: str) -> None:
    found = list(tree.walk(source))
    into = work.destination
    if stat.S_ISDIR(found[0].status.st_mode):
        os.close(root.make(into, directory=True))
    elif work.unpacks and _is_archive(tree, source):
        _unpack(tree, source, root, into)
        return
    elif into.endswith("/") or _is_directory(root, into):
        into = posixpath.join(into, posixpath.basename(source))
    for one in found:
        _copy_one(tree, work, root, one, into)


def _is_directory(root: Rootfs, path: str) -> bool:
    try:
        at = root.find(path)
    except OSError:
        return False
    try:
        return stat.S_ISDIR(os.stat(at).st_mode)
    finally:
        os.close(at)


def _copy_one(tree: SourceTree, work: Copy, root: Rootfs, found: Found, into: str) -> None:
    place = posixpath.join(into, found.below) if found.below else into
    if not found.below and stat.S_ISDIR(found.status.st_mode):
        return  # What is in a directory is copied, not itself.
    above, name = posixpath.split(place.rstrip("/"))
    parent = root.make(above, directory=True)
    try:
        _write(tree, work, found, parent, name)
    finally:
        os.close(parent)


def _write(tree: SourceTree, work: Copy, found: Found, parent: int, name: str) -> None:
    kind = found.status.st_mode
    at = os.open(f"/proc/self/fd/{parent}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if stat.S_ISDIR(kind):
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o755, dir_fd=at)
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            with _descriptor(os.open(name, flags, dir_fd=at)) as made:
                _attributes(tree, work, found, made)
        elif stat.S_ISLNK(kind):
            _clear(at, name)
            os.symlink(tree.read_link(found.path), name, dir_fd=at)
            uid, gid = _owner(tree, work, found)
            os.chown(name, uid, gid, dir_fd=at, follow_symlinks=False)
        elif stat.S_ISREG(kind):
            _clear(at, name)
            _write_file(tree, work, found, at, name)
        elif stat.S_ISFIFO(kind) or stat.S_ISCHR(kind) or stat.S_ISBLK(kind):
            _clear(at, name)
            os.mknod(name, kind, found.status.st_rdev, dir_fd=at)
    finally:
        os.close(at)


@contextlib.contextmanager
def _descriptor(fd: int) -> Iterator[int]:
    try:
        yield fd
    finally:
        os.close(fd)


def _clear(at: int, name: str) -> None:
    try:
        found = os.stat(name, dir_fd=at, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(found.st_mode):
        raise CopyError(f"cannot copy to non-directory: {name} is a directory in the image")
    os.unlink(name, dir_fd=at)


def _write_file(tree: SourceTree, work: Copy, found: Found, at: int, name: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with (
        open(tree.open(found.path, os.O_RDONLY), "rb", buffering=0) as source,
        open(os.open(name, flags, 0o600, dir_fd=at), "wb", buffering=0) as target,
    ):
        shutil.copyfileobj(source, target, COPY_BYTES)
        _attributes(tree, work, found, target.fileno())
        for key in os.listxattr(source.fileno()):
            if key.startswith(_XATTRS_KEPT):
                os.setxattr(target.fileno(), key, os.getxattr(source.fileno(), key))
        os.utime(target.fileno(), ns=(found.status.st_mtime_ns, found.status.st_mtime_ns))


def _owner(tree: SourceTree, work: Copy, found: Found) -> tuple[int, int]:
    if work.owner is not None:
        return work.owner
    return (found.status.st_uid, found.status.st_gid) if tree.keeps_owners else (0, 0)


def _attributes(tree: SourceTree, work: Copy, found: Found, fd: int) -> None:
    os.fchown(fd, *_owner(tree, work, found))
    mode = found.status.st_mode if work.mode is None else work.mode
    os.fchmod(fd, stat.S_IMODE(mode))


def _is_archive(tree: SourceTree, source: str) -> bool:
    with open(tree.open(source, os.O_RDONLY), "rb") as file:
        try:
            with tarfile.open(fileobj=file, mode="r:*"):
                return True
        except (tarfile.TarError, EOFError, OSError):
            return False


def _unpack(tree: SourceTree, source: str, root: Rootfs, into: str) -> None:
    os.close(root.make(into, directory=True))
    with open(tree.open(source, os.O_RDONLY), "rb") as file:
        try:
            layers.extract_below(file, root.fd, into)
        except (layers.LayerError, tarfile.TarError, EOFError) as exc:
            raise CopyError(f"{source}: {exc}") from exc
