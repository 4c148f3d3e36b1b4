"""What the embedded registry keeps, in files that a command may also write while it runs.

    blobs/sha256/HEX                         layers, configs, manifests
    repositories/HOST/PATH/_tags/TAG         the digest of the tag's manifest

Source: OCI distribution-spec.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO, Final

from tiphys.runtime.images import manifest
from tiphys.runtime.images.reference import Reference, is_digest, parse

COPY_BYTES: Final = 1 << 20


class RegistryStorage:
    """Blobs and tags below a directory. Names are References, so they hold no `..`."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._blobs = os.path.join(directory, "blobs", "sha256")
        self._repositories = os.path.join(directory, "repositories")
        for path in (self._blobs, self._repositories):
            os.makedirs(path, mode=0o755, exist_ok=True)

    def blob_path(self, digest: str) -> str:
        """Raises: ValueError when digest is not one."""
        if not is_digest(digest):
            raise ValueError(f"invalid digest {digest!r}")
        return os.path.join(self._blobs, digest.removeprefix("sha256:"))

    def has_blob(self, digest: str) -> bool:
        return os.path.exists(self.blob_path(digest))

    def open_blob(self, digest: str) -> IO[bytes]:
        """Raises: FileNotFoundError, ValueError."""
        return open(self.blob_path(digest), "rb")

    def blobs(self) -> Iterable[str]:
        """The digests of all blobs."""
        return [f"sha256:{name}" for name in os.listdir(self._blobs)]

    def blob_size(self, digest: str) -> int:
        return os.path.getsize(self.blob_path(digest))

    def new_upload(self, session: str) -> IO[bytes]:
        """A file for an upload; `keep_blob` or the caller's unlink ends it."""
        return open(os.path.join(self.directory, f"upload-{session}"), "w+b")

    def put_blob(self, data: bytes) -> str:
        digest = manifest.digest_of(data)
        if not self.has_blob(digest):
            with self.new_blob() as file:
                file.write(data)
                self.keep_blob(file, digest)
        return digest

    @contextlib.contextmanager
    def new_blob(self) -> Iterator[IO[bytes]]:
        """A file that becomes a blob with `keep_blob` or disappears."""
        with tempfile.NamedTemporaryFile(dir=self.directory, delete=False) as file:
            try:
                yield file
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(file.name)

    def keep_blob(self, file: IO[bytes], digest: str) -> None:
        file.flush()
        os.fchmod(file.fileno(), 0o644)
        os.rename(file.name, self.blob_path(digest))

    def _tag_directory(self, repository: str) -> str:
        return os.path.join(self._repositories, repository, "_tags")

    def tag(self, reference: Reference, digest: str) -> None:
        """Let the tag of reference name digest."""
        directory = self._tag_directory(reference.repository)
        os.makedirs(directory, exist_ok=True)
        # Several processes may tag at once: each writes a file of its own.
        with tempfile.NamedTemporaryFile("w", dir=self.directory, delete=False) as file:
            file.write(digest)
        os.chmod(file.name, 0o644)
        os.rename(file.name, os.path.join(directory, reference.tag))

    def tagged_at(self, reference: Reference) -> float:
        """When the tag was set last, in seconds since 1970. Raises: FileNotFoundError."""
        directory = self._tag_directory(reference.repository)
        return os.path.getmtime(os.path.join(directory, reference.tag))

    def put_manifest(self, reference: Reference, data: bytes) -> str:
        """Store a manifest or index whose blobs are there. Raises: ValueError."""
        document = manifest.decode(data)
        parts = document.get("manifests") or [document["config"], *document["layers"]]
        for part in parts:
            if not self.has_blob(part["digest"]):
                raise ValueError(f"blob unknown: {part['digest']}")
        digest = self.put_blob(data)
        if reference.tag:
            self.tag(reference, digest)
        return digest

    def resolve(self, reference: Reference) -> str | None:
        """The digest that reference names, None when it is not here."""
        if reference.digest:
            return reference.digest if self.has_blob(reference.digest) else None
        try:
            path = os.path.join(self._tag_directory(reference.repository), reference.tag)
            with open(path) as file:
                return file.read().strip()
        except OSError:
            return None

    def tags(self, repository: str) -> list[str]:
        with contextlib.suppress(FileNotFoundError):
            found = os.listdir(self._tag_directory(repository))
            return sorted(found)
        return []

    def repositories(self) -> list[str]:
        """Full names, "docker.io/library/busybox"."""
        found = []
        for path, directories, _ in os.walk(self._repositories):
            if "_tags" in directories:
                directories.remove("_tags")
                found.append(os.path.relpath(path, self._repositories))
        return sorted(found)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """While blobs are written that no tag names yet: `sweep` keeps away."""
        with open(os.path.join(self.directory, ".lock"), "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            yield

    def sweep(self) -> list[str]:
        """Remove the blobs that no tag leads to, and return their digests; none while somebody
        writes."""
        with open(os.path.join(self.directory, ".lock"), "a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return []
            used = {part for _, digest in self.list() for part in self._parts(digest)}
            left = set(self.blobs()) - used
            for digest in left:
                os.unlink(self.blob_path(digest))
            return sorted(left)

    def _parts(self, digest: str) -> Iterator[str]:
        """A manifest and all that it names."""
        if not self.has_blob(digest):
            return
        yield digest
        with self.open_blob(digest) as file:
            document = manifest.decode(file.read(manifest.DOCUMENT_BYTES_MAX))
        for row in document.get("manifests") or ():
            if self.has_blob(row["digest"]):
                yield from self._parts(row["digest"])
        for row in (document.get("config"), *(document.get("layers") or ())):
            if row is not None:
                yield row["digest"]

    def list(self) -> list[tuple[Reference, str]]:
        """Every tag with its digest."""
        names = [f"{name}:{tag}" for name in self.repositories() for tag in self.tags(name)]
        references = [parse(name) for name in names]
        return [(ref, digest) for ref in references if (digest := self.resolve(ref))]

    def remove_tag(self, reference: Reference) -> bool:
        try:
            os.unlink(os.path.join(self._tag_directory(reference.repository), reference.tag))
        except FileNotFoundError:
            return False
        with contextlib.suppress(OSError):  # Others tags, or other names below this one.
            os.removedirs(self._tag_directory(reference.repository))
        return True

    def clear(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)
