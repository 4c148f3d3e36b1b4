"""The image store of a node: documents by digest, layers unpacked once, names.

    images/blobs/sha256/HEX     manifests and configs (layers are not kept packed)
    images/layers/HEX24/        unpacked layers, shared by all images that have them
    images/images.json          names and digests -> image

Layers are added first, the image last: a crash leaves only files that the next sweep removes.
"""

import contextlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from tiphys.runtime.images import manifest
from tiphys.runtime.images.layers import NEW, directory_name
from tiphys.runtime.images.reference import Reference, parse

FORMAT: Final = 1
TRASH: Final = ".trash"


@dataclass
class Image:
    """An image on this node. `id` is its config's digest; names are full references."""

    id: str
    layers: list[str]  # Names of layer directories, lowest first.
    size_bytes: int
    config: dict[str, Any]
    tags: list[str] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    pinned: bool = False

    @property
    def process(self) -> dict[str, Any]:
        """Entrypoint, Cmd, Env, User, WorkingDir ... of the config."""
        found = self.config.get("config") or {}
        return dict(found)


class ImageStore:
    """All images of one node; one process writes."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.layers_dir = os.path.join(directory, "layers")
        self._blobs = os.path.join(directory, "blobs", "sha256")
        self._images: dict[str, Image] = {}
        self._held: Counter[str] = Counter()
        for path in (self.layers_dir, self._blobs):
            os.makedirs(path, mode=0o700, exist_ok=True)
        os.chmod(self.layers_dir, 0o711)
        for name in os.listdir(self.layers_dir):
            if name.endswith((NEW, TRASH)):  # Left by a pull or removal that a crash cut short.
                shutil.rmtree(os.path.join(self.layers_dir, name), ignore_errors=True)
        self._load()

    def _load(self) -> None:
        try:
            with open(os.path.join(self.directory, "images.json"), "rb") as file:
                saved = json.load(file)
        except FileNotFoundError:
            return
        for row in saved["images"]:
            image = Image(**row, config=self._read_config(row["id"]))
            if image.config and all(self.has_layer_directory(name) for name in image.layers):
                self._images[image.id] = image

    def _read_config(self, digest: str) -> dict[str, Any]:
        try:
            return manifest.decode(self.read_blob(digest))
        except (OSError, ValueError):
            return {}

    def _save(self) -> None:
        rows = [
            {key: value for key, value in vars(image).items() if key != "config"}
            for image in self._images.values()
        ]
        path = os.path.join(self.directory, "images.json")
        write_atomically(path, json.dumps({"format": FORMAT, "images": rows}).encode())

    def read_blob(self, digest: str) -> bytes:
        with open(self._blob_path(digest), "rb") as file:
            return file.read()

    def write_blob(self, digest: str, data: bytes) -> None:
        write_atomically(self._blob_path(digest), data)

    def _blob_path(self, digest: str) -> str:
        return os.path.join(self._blobs, digest.removeprefix("sha256:"))

    def has_layer_directory(self, name: str) -> bool:
        return os.path.isdir(os.path.join(self.layers_dir, name))

    def has_layer(self, diff_id: str) -> bool:
        return self.has_layer_directory(directory_name(diff_id))

    def add(self, reference: Reference, manifest_digest: str, config: bytes, size: int) -> Image:
        """Record an image whose layers are unpacked, under reference (its tag moves here)."""
        image_id = manifest.digest_of(config)
        document = manifest.decode(config)
        self.write_blob(image_id, config)
        layers = [directory_name(diff_id) for diff_id in document["rootfs"]["diff_ids"]]
        image = self._images.get(image_id) or Image(image_id, layers, size, document)
        self._images[image_id] = image
        if reference.tag:
            name = f"{reference.repository}:{reference.tag}"
            for other in self._images.values():
                if name in other.tags:
                    other.tags.remove(name)
            image.tags.append(name)
        digest_name = f"{reference.repository}@{manifest_digest}"
        if digest_name not in image.digests:
            image.digests.append(digest_name)
        self._save()
        return image

    def hold(self, image: Image) -> None:
        """Let image be found by its id, until `let_go` or the end of the process."""
        self._images[image.id] = image

    def let_go(self, image: Image) -> None:
        self._images.pop(image.id, None)

    @contextlib.contextmanager
    def holding(self, diff_ids: Iterable[str]) -> Iterator[None]:
        """Keep layers of a pull under way from being swept."""
        names = [directory_name(diff_id) for diff_id in diff_ids]
        self._held.update(names)
        try:
            yield
        finally:
            self._held.subtract(names)

    def find(self, name: str) -> Image | None:
        """An image by id, by a prefix of its id's digits (7 or more) or by reference."""
        if name in self._images:
            return self._images[name]
        if image := self._images.get(f"sha256:{name}"):
            return image
        try:
            wanted = parse(name)
        except ValueError:
            return None
        key = f"{wanted.repository}:{wanted.tag}"
        if wanted.digest:
            key = f"{wanted.repository}@{wanted.digest}"
        for image in self._images.values():
            if key in image.tags or key in image.digests:
                return image
        return None

    def images(self) -> list[Image]:
        return list(self._images.values())

    def remove(self, name: str) -> None:
        """Forget the image that name stands for; `sweep` then frees its layers."""
        image = self.find(name)
        if image is not None:
            del self._images[image.id]
            self._save()

    def sweep(self, layers_in_use: Iterable[str] = ()) -> list[str]:
        """Set layers aside that no image and no container uses. Returns what to delete, which may
        take long and needs no lock."""
        layers = {name for image in self._images.values() for name in image.layers}
        layers |= set(layers_in_use) | {name for name, count in self._held.items() if count > 0}
        for name in os.listdir(self.layers_dir):
            if name not in layers and not name.endswith((NEW, TRASH)):
                os.rename(
                    os.path.join(self.layers_dir, name),
                    os.path.join(self.layers_dir, f"{name}{TRASH}"),
                )
        blobs = {image.id.removeprefix("sha256:") for image in self._images.values()}
        for name in os.listdir(self._blobs):
            if name not in blobs:
                os.unlink(os.path.join(self._blobs, name))
        names = [name for name in os.listdir(self.layers_dir) if name.endswith(TRASH)]
        return [os.path.join(self.layers_dir, name) for name in names]

    def usage(self) -> tuple[int, int]:
        """Bytes and inodes of all layers, as counted when they came."""
        sizes = {name: i.size_bytes for i in self._images.values() for name in i.layers[-1:]}
        return sum(sizes.values()), sum(len(image.layers) for image in self._images.values())


def write_atomically(path: str, data: bytes) -> None:
    """Replace path by data, whole or not at all."""
    temporary = f"{path}.new"
    with open(temporary, "wb") as file:
        file.write(data)
    os.rename(temporary, path)
