"""An image of the embedded registry: its config and its layers, lowest first."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tiphys.runtime.images import manifest
from tiphys.runtime.images.reference import DEFAULT_HOST, Reference
from tiphys.runtime.images.registry_storage import RegistryStorage


@dataclass(frozen=True)
class Layer:
    """A layer in the registry: its row in a manifest, and the digest of the plain archive."""

    media_type: str
    digest: str
    size: int
    diff_id: str

    @property
    def row(self) -> dict[str, Any]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


@dataclass(frozen=True)
class StoredImage:
    """`id` is the digest of the config, `digest` that of the manifest for this machine."""

    id: str
    digest: str
    document: dict[str, Any]
    layers: tuple[Layer, ...]

    @property
    def process(self) -> dict[str, Any]:
        """Entrypoint, Cmd, Env, User, WorkingDir ... of the config."""
        return dict(self.document.get("config") or {})

    @property
    def history(self) -> list[dict[str, Any]]:
        return list(self.document.get("history") or ())

    @property
    def size_bytes(self) -> int:
        """What a pull of the image transfers, without its documents."""
        return sum(layer.size for layer in self.layers)


def read(storage: RegistryStorage, digest: str, machine: str) -> StoredImage:
    """The image that a manifest or an index names. Raises: OSError, ValueError, KeyError."""
    document = _document(storage, digest)
    if manifest.is_index(document):
        digest = manifest.choose(document, machine)
        document = _document(storage, digest)
    config = _document(storage, document["config"]["digest"])
    diff_ids = config["rootfs"]["diff_ids"]
    rows = document["layers"]
    if len(rows) != len(diff_ids):
        raise ValueError("config and manifest disagree about the layers")
    layers = tuple(
        Layer(row["mediaType"], row["digest"], int(row["size"]), diff_id)
        for row, diff_id in zip(rows, diff_ids, strict=True)
    )
    return StoredImage(document["config"]["digest"], digest, config, layers)


def _document(storage: RegistryStorage, digest: str) -> dict[str, Any]:
    with storage.open_blob(digest) as file:
        return manifest.decode(file.read(manifest.DOCUMENT_BYTES_MAX))


def find(storage: RegistryStorage, reference: Reference, machine: str) -> StoredImage | None:
    """None when the registry does not have it. Raises: OSError, ValueError, KeyError."""
    digest = storage.resolve(reference)
    return None if digest is None else read(storage, digest, machine)


def write(
    storage: RegistryStorage, document: dict[str, Any], layers: Iterable[Layer]
) -> tuple[str, bytes]:
    """Keep an image's config; returns its id and the manifest, which a tag then names."""
    config = manifest.encode(document)
    storage.put_blob(config)
    data = manifest.image_manifest(config, [layer.row for layer in layers])
    storage.put_blob(data)
    return manifest.digest_of(config), data


def familiar(reference: Reference) -> str:
    """The short name that users type: nb/a:1 for docker.io/nb/a:1."""
    text = str(reference)
    if reference.host == DEFAULT_HOST:
        return text.removeprefix(f"{DEFAULT_HOST}/").removeprefix("library/")
    return text
