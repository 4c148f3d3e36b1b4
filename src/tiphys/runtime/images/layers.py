"""Layers: tar archives of an image, unpacked once into directories for overlayfs.

A layer's directory holds its difference to the layers below, in overlayfs's form: a removed file
is a character device 0:0, a directory that hides what is below has trusted.overlay.opaque. So it
needs no other layer, and any image may use it. Every name in an archive is resolved inside of the
layer's directory by the kernel (openat2).

Sources: OCI image-spec layer.md (whiteouts); kernel filesystems/overlayfs.rst.
"""

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import stat
import subprocess
import tarfile
import zlib
from collections.abc import Iterator
from typing import IO, Any, Final

from tiphys.runtime import syscalls as sys

NEW: Final = ".new"  # How the name of a layer ends that is not whole yet.
WHITEOUT: Final = ".wh."
OPAQUE: Final = ".wh..wh..opq"
READ_BYTES: Final = 1 << 16
FILES_MAX: Final = 2_000_000  # Entries of one layer.
LAYER_BYTES_MAX = 64 << 30  # Of the plain archive, and of its files: a few bytes may claim more.
LINKS_MAX: Final = 40  # As the kernel's MAXSYMLINKS.
NAME_HEX: Final = 24  # Digits of the digest in a directory's name: overlay options fit one page.
_XATTR: Final = "SCHILY.xattr."
# A layer may set capabilities and ordinary attributes; overlayfs's own would break out of it.
_XATTRS_ALLOWED: Final = ("security.capability", "user.")


class LayerError(ValueError):
    """An archive that cannot be a layer."""


def directory_name(diff_id: str) -> str:
    """The name of the directory of the layer with this (uncompressed) digest."""
    return diff_id.removeprefix("sha256:")[:NAME_HEX]


class Digester:
    """A file that hashes what is read through it."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._hash = hashlib.sha256()
        self._size_bytes = 0

    def read(self, count: int = -1) -> bytes:
        data = self._source.read(count)
        self._hash.update(data)
        self._size_bytes += len(data)
        if self._size_bytes > LAYER_BYTES_MAX:
            raise LayerError(f"layer is larger than {LAYER_BYTES_MAX} bytes")
        return data

    def digest(self) -> str:
        while self.read(READ_BYTES):
            pass  # Padding after the archive counts too.
        return f"sha256:{self._hash.hexdigest()}"


class _Gunzip:
    """Reads members of a gzip file; several may follow each other."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._pieces = self._inflate()
        self._rest = b""

    def _inflate(self) -> Iterator[bytes]:
        engine = zlib.decompressobj(wbits=31)
        data = self._source.read(READ_BYTES)
        while data:
            yield engine.decompress(data, READ_BYTES)
            data = engine.unconsumed_tail
            if engine.eof:
                data = engine.unused_data
                engine = zlib.decompressobj(wbits=31)
            data = data or self._source.read(READ_BYTES)
        yield engine.flush()

    def read(self, count: int = -1) -> bytes:
        while count < 0 or len(self._rest) < count:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._rest += piece
        if count < 0:
            count = len(self._rest)
        result, self._rest = self._rest[:count], self._rest[count:]
        return result


def decompressed(source: IO[bytes], media_type: str) -> Any:
    """A reader of the plain archive. Raises: LayerError for a compression we do not know."""
    if media_type.endswith((".tar", "+tar", "diff.tar")):
        return source
    if media_type.endswith(("gzip", ".tgz")):
        return _Gunzip(source)
    if media_type.endswith("zstd"):
        return _zstd_reader(source)
    raise LayerError(f"unknown layer type {media_type}")


def _zstd_reader(source: IO[bytes]) -> Any:
    try:
        from compression import zstd  # type: ignore[import-not-found]  # Python 3.14
    except ImportError:
        return _ZstdProgram(source)
    return zstd.ZstdFile(source)


class _ZstdProgram:
    """Reads through the zstd program, which most machines have, on an older Python."""

    def __init__(self, source: IO[bytes]) -> None:
        program = shutil.which("zstd")
        if program is None:
            raise LayerError("zstd layers need Python 3.14 or the program zstd")
        self._process = subprocess.Popen(
            [program, "--decompress", "--stdout", "--quiet"],
            stdin=source,
            stdout=subprocess.PIPE,
        )

    def read(self, count: int = -1) -> bytes:
        assert self._process.stdout is not None
        data = self._process.stdout.read(count)
        if not data and self._process.wait() != 0:
            raise LayerError("the layer is not valid zstd")
        return data


def unpack(source: IO[bytes], media_type: str, layers_dir: str, diff_id: str) -> int:
    """Unpack a layer below layers_dir, unless it is there. Returns its size in bytes.

    Raises: LayerError (also when the digest is not diff_id), OSError, tarfile.TarError, zlib.error.
    """
    target = os.path.join(layers_dir, directory_name(diff_id))
    if os.path.isdir(target):
        return 0
    temporary = f"{target}-{secrets.token_hex(4)}{NEW}"
    shutil.rmtree(temporary, ignore_errors=True)
    os.makedirs(temporary, mode=0o755)
    try:
        digester = Digester(decompressed(source, media_type))
        size = _extract(digester, temporary)
        found = digester.digest()
        if found != diff_id:
            raise LayerError(f"layer is {found}, the image says {diff_id}")
        try:
            os.rename(temporary, target)
        except OSError as exc:
            if exc.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise  # Else: somebody else unpacked it meanwhile.
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return size


def _extract(source: Any, target: str) -> int:
    root = os.open(target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        writer = _Writer(root)
        with tarfile.open(fileobj=source, mode="r|", errorlevel=2) as archive:
            for member in _members(archive):
                writer.add(archive, member)
        writer.finish()
        return writer.size_bytes
    finally:
        os.close(root)


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    size = 0
    for count, member in enumerate(archive):
        size += member.size
        if count > FILES_MAX:
            raise LayerError("layer has too many files")
        if size > LAYER_BYTES_MAX:  # A sparse file's holes are in no byte of the archive.
            raise LayerError(f"layer is larger than {LAYER_BYTES_MAX} bytes")
        yield member
        archive.members = []  # type: ignore[attr-defined]  # It would keep every entry.


def check(source: IO[bytes], media_type: str, diff_id: str) -> None:
    """Read a layer without writing anything: its entries stay inside and its digest is diff_id.

    Raises: LayerError, OSError, tarfile.TarError, zlib.error.
    """
    digester: Any = Digester(decompressed(source, media_type))
    with tarfile.open(fileobj=digester, mode="r|", errorlevel=2) as archive:
        for member in _members(archive):
            inside(member.name)
            if member.islnk():
                inside(member.linkname)
    found = digester.digest()
    if found != diff_id:
        raise LayerError(f"layer is {found}, the image says {diff_id}")


def extract_below(source: IO[bytes], root: int, place: str) -> None:
    """Unpack an ordinary archive, compressed or not, at place inside root (a descriptor): ADD.

    Raises: LayerError, OSError, tarfile.TarError.
    """
    writer = _Writer(root, place, whiteouts=False)
    with tarfile.open(fileobj=source, mode="r:*", errorlevel=2) as archive:
        for member in _members(archive):
            writer.add(archive, member)
    writer.finish()


def inside(name: str) -> str:
    """name as a path relative to the root of a layer. Raises: LayerError when it leads outside."""
    path = os.path.normpath(name.lstrip("/") or ".")
    if path == ".." or path.startswith("../") or "\0" in path:
        raise LayerError(f"{name!r} leads outside of the layer")
    return "" if path == "." else path


class _Writer:
    """Writes the members of one archive below place of a directory."""

    def __init__(self, root: int, place: str = "", *, whiteouts: bool = True) -> None:
        self._root = root
        self._place = place.strip("/")
        self._whiteouts = whiteouts
        self._directory_times: dict[str, float] = {}
        self.size_bytes = 0

    def add(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        path = inside(member.name)
        if not path:
            if not self._place:
                self._attributes(self._root, member)
            return
        path = os.path.join(self._place, path)
        parent_path, name = os.path.split(path)
        parent = self._parent(parent_path)
        try:
            if self._whiteouts and name == OPAQUE:
                os.setxattr(f"/proc/self/fd/{parent}", "trusted.overlay.opaque", b"y")
            elif self._whiteouts and name.startswith(WHITEOUT):
                self._whiteout(parent, name.removeprefix(WHITEOUT))
            else:
                self._write(archive, member, parent, name, path)
        finally:
            os.close(parent)

    def finish(self) -> None:
        """Directories get their times last: what was put into them changed those."""
        for path, when in self._directory_times.items():
            with contextlib.suppress(OSError):
                at = self._open(path, os.O_RDONLY | os.O_DIRECTORY)
                os.utime(at, (when, when))
                os.close(at)

    def _open(self, path: str, flags: int) -> int:
        resolve = sys.RESOLVE_IN_ROOT | sys.RESOLVE_NO_MAGICLINKS
        return sys.openat2(self._root, path or ".", flags, resolve)

    def _parent(self, path: str, links_left: int = LINKS_MAX) -> int:
        """The directory at path, made when it is missing; a link to something that only a lower
        layer has is followed to a directory made in this one, which overlayfs merges."""
        try:
            return self._open(path, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            above, name = os.path.split(path)
            at = self._parent(above, links_left)
            try:
                link = os.readlink(name, dir_fd=at)
            except OSError:
                os.mkdir(name, 0o755, dir_fd=at)
                return self._open(path, os.O_RDONLY | os.O_DIRECTORY)
            finally:
                os.close(at)
            if not links_left:
                raise LayerError(f"{path}: too many levels of symbolic links") from None
            place = os.path.normpath(os.path.join("/", above, link)).lstrip("/")
            return self._parent(place, links_left - 1)

    def _whiteout(self, parent: int, name: str) -> None:
        if name in ("", ".", ".."):
            raise LayerError("whiteout without a name")
        self._clear(parent, name)
        os.mknod(name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=parent)

    def _clear(self, parent: int, name: str) -> None:
        """Remove what an earlier entry of this archive put there."""
        try:
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return
        if stat.S_ISDIR(found.st_mode):
            shutil.rmtree(name, dir_fd=parent)
        else:
            os.unlink(name, dir_fd=parent)

    def _write(
        self, archive: tarfile.TarFile, member: tarfile.TarInfo, parent: int, name: str, path: str
    ) -> None:
        if member.isdir():
            self._directory(member, parent, name, path)
            return
        self._clear(parent, name)
        if member.isreg():
            self._file(archive, member, parent, name)
        elif member.issym():
            os.symlink(member.linkname, name, dir_fd=parent)
            os.chown(name, member.uid, member.gid, dir_fd=parent, follow_symlinks=False)
        elif member.islnk():
            self._link(member, parent, name)
        elif member.isfifo() or member.isdev():
            self._node(member, parent, name)
        else:
            raise LayerError(f"{member.name}: unknown kind of entry")

    def _directory(self, member: tarfile.TarInfo, parent: int, name: str, path: str) -> None:
        try:
            os.mkdir(name, 0o755, dir_fd=parent)
        except FileExistsError:
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if not stat.S_ISDIR(found.st_mode):
                os.unlink(name, dir_fd=parent)
                os.mkdir(name, 0o755, dir_fd=parent)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        at = os.open(name, flags, dir_fd=parent)
        try:
            self._attributes(at, member)
        finally:
            os.close(at)
        self._directory_times[path] = member.mtime

    def _file(
        self, archive: tarfile.TarFile, member: tarfile.TarInfo, parent: int, name: str
    ) -> None:
        source = archive.extractfile(member)
        assert source is not None
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(name, flags, 0o600, dir_fd=parent), "wb", buffering=0) as file:
            shutil.copyfileobj(source, file, READ_BYTES)
            self._attributes(file.fileno(), member)
            os.utime(file.fileno(), (member.mtime, member.mtime))
        self.size_bytes += member.size

    def _link(self, member: tarfile.TarInfo, parent: int, name: str) -> None:
        target = os.path.join(self._place, inside(member.linkname))
        above, base = os.path.split(target)
        at = self._open(above, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.link(base, name, src_dir_fd=at, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            os.close(at)

    def _node(self, member: tarfile.TarInfo, parent: int, name: str) -> None:
        kind = stat.S_IFIFO
        if not member.isfifo():
            kind = stat.S_IFCHR if member.ischr() else stat.S_IFBLK
        numbers = os.makedev(member.devmajor, member.devminor) if member.isdev() else 0
        os.mknod(name, member.mode & 0o7777 | kind, numbers, dir_fd=parent)
        os.chown(name, member.uid, member.gid, dir_fd=parent, follow_symlinks=False)

    def _attributes(self, fd: int, member: tarfile.TarInfo) -> None:
        if fd == self._root:
            fd = self._open(".", os.O_RDONLY | os.O_DIRECTORY)
            try:
                self._attributes(fd, member)
            finally:
                os.close(fd)
            return
        os.fchown(fd, member.uid, member.gid)
        os.fchmod(fd, member.mode & 0o7777)  # After chown, which drops set-user-id bits.
        for key, value in member.pax_headers.items():
            name = key.removeprefix(_XATTR)
            if name != key and name.startswith(_XATTRS_ALLOWED):
                os.setxattr(fd, name, value.encode("utf-8", "surrogateescape"))
