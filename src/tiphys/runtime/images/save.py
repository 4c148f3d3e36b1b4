"""Saves images of the embedded registry: one tar that `docker load` reads and that is an OCI
layout, or the layout as a directory.

Sources: moby image/spec (manifest.json); OCI image-spec image-layout.md.
"""

import io
import os
import shutil
import tarfile
from collections.abc import Sequence
from typing import IO, Any, Final, Protocol

from tiphys.runtime.images import manifest, stored_image
from tiphys.runtime.images.archive import NAME_ANNOTATIONS
from tiphys.runtime.images.reference import Reference
from tiphys.runtime.images.registry_storage import RegistryStorage
from tiphys.runtime.images.stored_image import StoredImage, familiar

LAYOUT: Final = {"imageLayoutVersion": "1.0.0"}


class Target(Protocol):
    def add(self, name: str, data: IO[bytes], size: int) -> None: ...


class TarTarget:
    """Times and owners are all zero: the same images give the same archive."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive

    def add(self, name: str, data: IO[bytes], size: int) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o644
        self._archive.addfile(info, data)


class DirectoryTarget:
    def __init__(self, directory: str) -> None:
        self._directory = directory

    def add(self, name: str, data: IO[bytes], size: int) -> None:
        place = os.path.join(self._directory, name)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "wb") as file:
            shutil.copyfileobj(data, file)


def save_archive(
    storage: RegistryStorage, references: Sequence[Reference], output: IO[bytes], machine: str
) -> None:
    """Raises: KeyError naming an image that is not here, ValueError, OSError."""
    with tarfile.open(fileobj=output, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        save(storage, references, TarTarget(archive), machine)


def save(
    storage: RegistryStorage, references: Sequence[Reference], target: Target, machine: str
) -> None:
    """As `save_archive`, into any target."""
    found = [(reference, _image(storage, reference, machine)) for reference in references]
    digests: dict[str, None] = {}
    for _, image in found:
        digests |= dict.fromkeys(
            (*(layer.digest for layer in image.layers), image.id, image.digest)
        )
    for digest in digests:
        with storage.open_blob(digest) as file:
            target.add(_place(digest), file, storage.blob_size(digest))
    _add_document(target, "oci-layout", LAYOUT)
    _add_document(target, "index.json", _index(storage, found))
    _add_document(target, "manifest.json", _docker_manifest(found))


def _image(storage: RegistryStorage, reference: Reference, machine: str) -> StoredImage:
    image = stored_image.find(storage, reference, machine)
    if image is None:
        raise KeyError(familiar(reference))
    return image


def _place(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _add_document(target: Target, name: str, document: Any) -> None:
    data = manifest.encode(document)
    target.add(name, io.BytesIO(data), len(data))


def _index(
    storage: RegistryStorage, found: Sequence[tuple[Reference, StoredImage]]
) -> dict[str, Any]:
    rows = []
    for reference, image in found:
        names = {NAME_ANNOTATIONS[0]: str(reference), NAME_ANNOTATIONS[1]: reference.tag}
        with storage.open_blob(image.digest) as file:
            row = manifest.descriptor(manifest.MANIFEST_TYPES[0], file.read())
        rows.append(row | {"annotations": {key: value for key, value in names.items() if value}})
    return {"schemaVersion": 2, "mediaType": manifest.INDEX_TYPES[0], "manifests": rows}


def _docker_manifest(found: Sequence[tuple[Reference, StoredImage]]) -> list[dict[str, Any]]:
    """One row per image, with all its names."""
    rows: dict[str, dict[str, Any]] = {}
    for reference, image in found:
        row = {
            "Config": _place(image.id),
            "RepoTags": [],
            "Layers": [_place(layer.digest) for layer in image.layers],
        }
        rows.setdefault(image.id, row)["RepoTags"].append(familiar(reference))
    return list(rows.values())
