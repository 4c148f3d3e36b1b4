"""Loads image archives (`docker save`, OCI layouts in a tar) into the embedded registry.

    docker-archive: manifest.json lists {"Config", "RepoTags", "Layers"}
    oci-archive:    index.json lists manifests, blobs/sha256/HEX holds everything

Sources: moby image/spec/v1.2 (docker save); OCI image-spec image-layout.md.
"""

import hashlib
import json
import tarfile
from typing import IO, Any, Final

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
    """Load every image of the archive at path; name is for an archive that names none.

    Returns the names under which they can be pulled. Raises: ArchiveError, OSError.
    """
    try:
        with tarfile.open(path, "r:*") as archive:
            members = {member.name.removeprefix("./"): member for member in archive}
            loader = _Loader(storage, archive, members)
            if "manifest.json" in members:
                return loader.docker_archive(name)
            if "index.json" in members:
                return loader.layout(name)
    except (tarfile.TarError, EOFError) as exc:
        raise ArchiveError(f"{path}: {exc}") from exc
    except (KeyError, TypeError, ValueError) as exc:
        raise ArchiveError(f"{path}: bad image archive: {exc}") from exc
    raise ArchiveError(f"{path}: neither manifest.json nor index.json in it")


class _Loader:
    def __init__(
        self,
        storage: RegistryStorage,
        archive: tarfile.TarFile,
        members: dict[str, tarfile.TarInfo],
    ) -> None:
        self._storage = storage
        self._archive = archive
        self._members = members

    def docker_archive(self, name: str) -> list[Reference]:
        found: list[Reference] = []
        for row in json.loads(self._document("manifest.json")):
            config = self._document(row["Config"])
            self._storage.put_blob(config)
            layers = [self._layer(path) for path in row["Layers"]]
            document = manifest.image_manifest(config, layers)
            found += self._name(document, row.get("RepoTags") or [name])
        return found

    def layout(self, name: str) -> list[Reference]:
        for path in self._members:
            if path.startswith("blobs/sha256/") and self._members[path].isreg():
                self._blob(path, expected=f"sha256:{path.rpartition('/')[2]}")
        found: list[Reference] = []
        for row in json.loads(self._document("index.json"))["manifests"]:
            notes = row.get("annotations") or {}
            names = [notes[key] for key in NAME_ANNOTATIONS if key in notes][:1]
            with self._storage.open_blob(row["digest"]) as file:
                found += self._name(file.read(manifest.DOCUMENT_BYTES_MAX), names or [name])
        return found

    def _name(self, document: bytes, names: list[str]) -> list[Reference]:
        if not all(names):
            raise ArchiveError("the archive does not name its image: give a name")
        references = [parse(name) for name in names]
        for reference in references:
            self._storage.put_manifest(reference, document)
        return references

    def _open(self, path: str) -> IO[bytes]:
        file = self._archive.extractfile(self._members[path])  # Follows links in the archive.
        if file is None:
            raise ArchiveError(f"{path} is not a file")
        return file

    def _document(self, path: str) -> bytes:
        data = self._open(path).read(manifest.DOCUMENT_BYTES_MAX + 1)
        if len(data) > manifest.DOCUMENT_BYTES_MAX:
            raise ArchiveError(f"{path} is too large")
        return data

    def _layer(self, path: str) -> dict[str, Any]:
        zipped = self._open(path).read(2) == GZIP_MAGIC
        digest, size = self._blob(path)
        kind = LAYER_GZIP if zipped else manifest.LAYER_TAR
        return {"mediaType": kind, "digest": digest, "size": size}

    def _blob(self, path: str, expected: str = "") -> tuple[str, int]:
        proof = hashlib.sha256()
        size = 0
        source = self._open(path)
        with self._storage.new_blob() as file:
            while piece := source.read(COPY_BYTES):
                proof.update(piece)
                size += len(piece)
                file.write(piece)
            digest = f"sha256:{proof.hexdigest()}"
            if expected and digest != expected:
                raise ArchiveError(f"{path} does not have its digest")
            self._storage.keep_blob(file, digest)
        return digest, size
