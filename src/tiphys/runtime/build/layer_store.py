"""The layers of builds: unpacked ones to mount, and new ones packed into the registry."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

from tiphys.runtime.build import mounted
from tiphys.runtime.build.mounted import View
from tiphys.runtime.build.run_step import STUBS
from tiphys.runtime.images import layer_archive, layers, manifest
from tiphys.runtime.images.registry_storage import RegistryStorage
from tiphys.runtime.images.store import ImageStore
from tiphys.runtime.images.stored_image import Layer
from tiphys.runtime.oci.rootfs import Rootfs

Result = TypeVar("Result")
EMPTY: Final = "empty"  # overlayfs wants one layer below; FROM scratch has none.


class LayerStore:
    """`latest_time` (SOURCE_DATE_EPOCH, seconds) bounds the times in new layers."""

    def __init__(
        self, storage: RegistryStorage, images: ImageStore, latest_time: int | None
    ) -> None:
        self._storage = storage
        self._images = images
        self._latest_time = latest_time
        os.makedirs(os.path.join(images.layers_dir, EMPTY), mode=0o755, exist_ok=True)

    def has(self, layer: Layer) -> bool:
        """Whether a layer that the cache knows is still there."""
        return self._storage.has_blob(layer.digest)

    def unpacked(self, wanted: Iterable[Layer]) -> list[str]:
        """Directory names, lowest first. Raises: LayerError, OSError, tarfile.TarError."""
        names = []
        for layer in wanted:
            if not self._images.has_layer(layer.diff_id):
                with self._storage.open_blob(layer.digest) as file:
                    target = self._images.layers_dir
                    layers.unpack(file, layer.media_type, target, layer.diff_id)
            names.append(layers.directory_name(layer.diff_id))
        return names

    def pack(self, upper: str, below: Iterable[Layer]) -> Layer:
        """The layer that upper is on top of `below`, now in the registry. Raises: OSError."""
        lower = [os.path.join(self._images.layers_dir, name) for name in self.unpacked(below)]
        proof = hashlib.sha256()
        with self._storage.new_blob() as file:
            writer = layer_archive.HashingFile(file, proof)
            layer_archive.pack(upper, writer, lower, self._latest_time)
            digest = f"sha256:{proof.hexdigest()}"
            self._storage.keep_blob(file, digest)
        # Not compressed: another zlib would give another digest, and nodes read it from this disk.
        return Layer(manifest.LAYER_TAR, digest, writer.size_bytes, digest)

    def changed(
        self, below: Sequence[Layer], work: Callable[[Rootfs], None], keep_empty: bool = True
    ) -> Layer | None:
        """The layer of what work changes in the files of `below`. None when it is empty and
        need not be. Raises: what work raises."""
        with tempfile.TemporaryDirectory(dir=self._images.directory) as scratch:
            view = self._view(below, scratch, writable=True)
            mounted.with_files([view], lambda roots: work(roots[0]))
            if not keep_empty and not os.listdir(view.upper):
                return None
            return self.pack(view.upper, below)

    def looked_at(self, below: Sequence[Layer], work: Callable[[Rootfs], Result]) -> Result:
        """What work returns, given the files of `below`, read-only."""
        with tempfile.TemporaryDirectory(dir=self._images.directory) as scratch:
            view = self._view(below, scratch, writable=False)
            return mounted.with_files([view], lambda roots: work(roots[0]))

    def copied(
        self,
        source: Sequence[Layer],
        below: Sequence[Layer],
        work: Callable[[Rootfs, Rootfs], None],
    ) -> Layer:
        """The layer of what work, given both mounted, takes from source into `below`."""
        with tempfile.TemporaryDirectory(dir=self._images.directory) as scratch:
            view = self._view(below, scratch, writable=True)
            other = os.path.join(scratch, "source")
            os.mkdir(other)
            views = [self._view(source, other, writable=False), view]
            mounted.with_files(views, lambda roots: work(roots[0], roots[1]))
            return self.pack(view.upper, below)

    def sweep(self, diff_ids: Iterable[str]) -> None:
        """Remove unpacked layers but these; the registry still has them packed."""
        names = {layers.directory_name(diff_id) for diff_id in diff_ids}
        for path in self._images.sweep({*names, EMPTY, STUBS}):
            shutil.rmtree(path, ignore_errors=True)

    def _view(self, below: Sequence[Layer], scratch: str, *, writable: bool) -> View:
        places = {name: os.path.join(scratch, name) for name in ("merged", "upper", "work")}
        for path in places.values():
            os.mkdir(path, 0o755)
        names = [*reversed(self.unpacked(below)), EMPTY]
        if not writable:
            # One layer alone cannot be an overlay without an upper directory.
            return View(
                self._images.layers_dir,
                [*names, os.path.abspath(places["upper"])],
                places["merged"],
            )
        return View(
            self._images.layers_dir, names, places["merged"], places["upper"], places["work"]
        )
