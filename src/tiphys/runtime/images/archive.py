"""Loads image archives (`docker save`, OCI layouts in a tar or a directory) into our registry.

    docker-archive: manifest.json lists {"Config", "RepoTags", "Layers"}
    oci-archive:    index.json lists manifests, blobs/sha256/HEX holds everything

Sources: moby image/spec/v1.2 (docker save); OCI image-spec image-layout.md.
"""

import contextlib
import hashlib
import json
import os
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from typing import IO, Any, Final, Protocol

from tiphys.runtime import syscalls as sys
from tiphys.runtime.images import layers as checking
from tiphys.runtime.images import manifest
from tiphys.runtime.images.reference import Reference, parse
from tiphys.runtime.images.registry_storage import RegistryStorage

COPY_BYTES: Final = 1 << 20
GZIP_MAGIC: Final = b"\x1f\x8b"
LAYER_GZIP: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
# Where builders put the name of an image in a layout, the most exact first.
NAME_ANNOTATIONS: Final = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


class ArchiveError(ValueError):
    """The file is not an image archive; the text says what is missing."""


def load(storage: RegistryStorage, path: str, name: str = "") -> list[Reference]:
    """Load every image of the archive, or of the OCI layout directory, at path; name is for one
    that names none.

    Returns the names under which they can be pulled. Raises: ArchiveError, OSError; then nothing
    of it is kept.
    """
    try:
        with _opened(path) as source, storage.writing():
            loader = _Loader(storage, source)
            try:
                return loader.load(name)
            except BaseException:
                loader.forget()
                raise
    except (tarfile.TarError, EOFError, zlib.error) as exc:
        raise ArchiveError(f"{path}: {exc}") from exc
    except (KeyError, TypeError, ValueError) as exc:
        raise ArchiveError(f"{path}: bad image archive: {exc}") from exc


class _Source(Protocol):
    """Files by their names in the archive."""

    def names(self) -> Iterable[str]: ...

    def open(self, name: str) -> IO[bytes]: ...


class _TarSource:
    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self._members = {member.name.removeprefix("./"): member for member in archive}

    def names(self) -> Iterable[str]:
        return [name for name, member in self._members.items() if not member.isdir()]

    def open(self, name: str) -> IO[bytes]:
        file = self._archive.extractfile(self._members[name])  # Follows links in the archive.
        if file is None:
            raise ArchiveError(f"{name} is not a file")
        return file


class _DirectorySource:
    """A layout on the disk; a link in it leads nowhere outside (openat2)."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def names(self) -> Iterable[str]:
        for at, _, files in os.walk(self._directory):
            yield from (os.path.relpath(os.path.join(at, name), self._directory) for name in files)

    def open(self, name: str) -> IO[bytes]:
        at = os.open(self._directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return open(sys.openat2(at, name, os.O_RDONLY, sys.RESOLVE_IN_ROOT), "rb")
        except FileNotFoundError as exc:
            raise KeyError(name) from exc
        finally:
            os.close(at)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[_Source]:
    if os.path.isdir(path):
        yield _DirectorySource(path)
        return
    with tarfile.open(path, "r:*") as archive:
        yield _TarSource(archive)


class _Loader:
    def __init__(self, storage: RegistryStorage, source: _Source) -> None:
        self._storage = storage
        self._source = source
        self._new: list[str] = []

    def load(self, name: str) -> list[Reference]:
        names = set(self._source.names())
        if "manifest.json" in names:
            return self.docker_archive(name)
        if "index.json" in names:
            return self.layout(name)
        raise ArchiveError("neither manifest.json nor index.json in it")

    def forget(self) -> None:
        """Remove what was kept before something turned out to be wrong."""
        for digest in self._new:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._storage.blob_path(digest))

    def docker_archive(self, name: str) -> list[Reference]:
        images: list[tuple[bytes, list[Reference]]] = []
        for row in json.loads(self._document("manifest.json")):
            config = self._document(row["Config"])
            diff_ids = manifest.decode(config)["rootfs"]["diff_ids"]
            self._put(config)
            layers = [self._layer(path) for path in row["Layers"]]
            self._check(layers, diff_ids)
            document = manifest.image_manifest(config, layers)
            images.append((document, self._references(row.get("RepoTags") or [name])))
        return self._name(images)

    def layout(self, name: str) -> list[Reference]:
        for path in self._source.names():
            if path.startswith("blobs/sha256/"):
                self._blob(path, expected=f"sha256:{path.rpartition('/')[2]}")
        images: list[tuple[bytes, list[Reference]]] = []
        for row in json.loads(self._document("index.json"))["manifests"]:
            notes = row.get("annotations") or {}
            names = [notes[key] for key in NAME_ANNOTATIONS if key in notes][:1]
            with self._storage.open_blob(row["digest"]) as file:
                document = file.read(manifest.DOCUMENT_BYTES_MAX)
            self._check_manifest(manifest.decode(document))
            images.append((document, self._references(names or [name])))
        return self._name(images)

    def _check_manifest(self, document: dict[str, Any]) -> None:
        """Every image of which the layout has the config; an index may name others, too."""
        for row in document.get("manifests") or ():
            if self._storage.has_blob(row["digest"]):
                with self._storage.open_blob(row["digest"]) as file:
                    data = file.read(manifest.DOCUMENT_BYTES_MAX)
                self._check_manifest(manifest.decode(data))
        if "config" in document:
            with self._storage.open_blob(document["config"]["digest"]) as file:
                config = manifest.decode(file.read(manifest.DOCUMENT_BYTES_MAX))
            self._check(document["layers"], config.get("rootfs", {}).get("diff_ids", []))

    def _check(self, rows: list[dict[str, Any]], diff_ids: list[str]) -> None:
        """Layers must be what the config says and stay inside of themselves."""
        if len(rows) != len(diff_ids):
            raise ArchiveError("config and manifest disagree about the layers")
        for row, diff_id in zip(rows, diff_ids, strict=True):
            if "tar" not in row["mediaType"]:
                continue  # A statement about an image (in-toto), which nobody unpacks.
            with self._storage.open_blob(row["digest"]) as file:
                checking.check(file, row["mediaType"], diff_id)

    def _references(self, names: list[str]) -> list[Reference]:
        if not all(names):
            raise ArchiveError("the archive does not name its image: give a name")
        return [parse(name) for name in names]

    def _name(self, images: list[tuple[bytes, list[Reference]]]) -> list[Reference]:
        """Names come last: an archive gives all of its images or none."""
        for document, references in images:
            for reference in references:
                self._storage.put_manifest(reference, document)
        return [reference for _, references in images for reference in references]

    def _put(self, data: bytes) -> None:
        if not self._storage.has_blob(manifest.digest_of(data)):
            self._new.append(self._storage.put_blob(data))

    def _document(self, path: str) -> bytes:
        with self._source.open(path) as file:
            data = file.read(manifest.DOCUMENT_BYTES_MAX + 1)
        if len(data) > manifest.DOCUMENT_BYTES_MAX:
            raise ArchiveError(f"{path} is too large")
        return data

    def _layer(self, path: str) -> dict[str, Any]:
        with self._source.open(path) as file:
            zipped = file.read(2) == GZIP_MAGIC
        digest, size = self._blob(path)
        kind = LAYER_GZIP if zipped else manifest.LAYER_TAR
        return {"mediaType": kind, "digest": digest, "size": size}

    def _blob(self, path: str, expected: str = "") -> tuple[str, int]:
        proof = hashlib.sha256()
        size = 0
        with self._source.open(path) as source, self._storage.new_blob() as file:
            while piece := source.read(COPY_BYTES):
                proof.update(piece)
                size += len(piece)
                file.write(piece)
            digest = f"sha256:{proof.hexdigest()}"
            if expected and digest != expected:
                raise ArchiveError(f"{path} does not have its digest")
            if not self._storage.has_blob(digest):
                self._storage.keep_blob(file, digest)
                self._new.append(digest)
        return digest, size
