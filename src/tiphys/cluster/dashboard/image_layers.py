"""Images of the embedded registry with their layers, and which images share each layer."""

from typing import Any

from tiphys.runtime.images import manifest
from tiphys.runtime.images.registry_storage import RegistryStorage


def describe(storage: RegistryStorage) -> dict[str, Any]:
    """`images`: name, digest, layers (digests); `layers`: size in bytes and images by digest."""
    images: list[dict[str, Any]] = []
    layers: dict[str, dict[str, Any]] = {}
    for reference, digest in storage.list():
        name = f"{reference.repository}:{reference.tag}"
        found = _layers(storage, digest)
        images.append({"name": name, "digest": digest, "layers": [d for d, _ in found]})
        for layer, size in found:
            layers.setdefault(layer, {"size": size, "images": []})["images"].append(name)
    return {"images": images, "layers": layers}


def _layers(storage: RegistryStorage, digest: str) -> list[tuple[str, int]]:
    """(digest, size) of an image's layers, each once; of an index: of all its images."""
    with storage.open_blob(digest) as file:
        document = manifest.decode(file.read(manifest.DOCUMENT_BYTES_MAX))
    if manifest.is_index(document):
        parts = [_layers(storage, row["digest"]) for row in document["manifests"]]
        return list(dict.fromkeys(one for part in parts for one in part))
    return list(dict.fromkeys((row["digest"], int(row["size"])) for row in document["layers"]))
