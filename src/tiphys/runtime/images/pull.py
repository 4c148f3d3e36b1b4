"""Pulls an image into the store: only layers that are not there yet, verified, unpacked once."""

import asyncio
import os
import tarfile
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tiphys.runtime.images import layers, manifest
from tiphys.runtime.images.distribution import Credentials, PullError, Registry, resolve
from tiphys.runtime.images.http_client import HttpError
from tiphys.runtime.images.reference import Reference
from tiphys.runtime.images.store import Image, ImageStore

PARALLEL_LAYERS_MAX: Final = 3  # As containerd's max_concurrent_downloads.


class Puller:
    """Pulls for one store; two pulls of the same name at once share nothing but wait in turn."""

    def __init__(
        self, store: ImageStore, mirrors: Mapping[str, Sequence[str]], machine: str
    ) -> None:
        self._store = store
        self._mirrors = mirrors
        self._machine = machine
        self._layers = asyncio.Semaphore(PARALLEL_LAYERS_MAX)
        self._names: dict[str, asyncio.Lock] = {}

    async def pull(self, reference: Reference, credentials: Credentials) -> Image:
        """Raises: PullError."""
        lock = self._names.setdefault(str(reference), asyncio.Lock())
        async with lock:
            try:
                return await self._pull(reference, credentials)
            except PullError as exc:
                what = f'failed to pull and unpack image "{reference}": {exc}'
                raise PullError(what, missing=exc.missing) from exc
            finally:
                if not lock.locked():
                    self._names.pop(str(reference), None)

    async def _pull(self, reference: Reference, credentials: Credentials) -> Image:
        found = await resolve(reference, self._mirrors, credentials, self._machine)
        try:
            config = manifest.decode(found.config)
            diff_ids: list[str] = config["rootfs"]["diff_ids"]
            rows: list[dict[str, Any]] = found.manifest["layers"]
            if len(diff_ids) != len(rows):
                raise PullError("config and manifest disagree about the layers")
        except (ValueError, KeyError, TypeError) as exc:
            raise PullError(f"bad image config: {exc}") from exc
        with self._store.holding(diff_ids):
            jobs = dict(zip(diff_ids, rows, strict=True))
            try:
                async with asyncio.TaskGroup() as group:
                    for diff_id, row in jobs.items():
                        group.create_task(self._layer(found.registry, row, diff_id))
            except BaseExceptionGroup as errors:
                raise errors.exceptions[0] from errors
            size = sum(int(row.get("size", 0)) for row in rows) + len(found.config)
            return self._store.add(reference, found.digest, found.config, size)

    async def _layer(self, registry: Registry, row: dict[str, Any], diff_id: str) -> None:
        if self._store.has_layer(diff_id):
            return
        async with self._layers:
            try:
                with tempfile.TemporaryFile(dir=self._store.directory) as file:
                    await registry.blob(row["digest"], file)
                    file.seek(0)
                    await asyncio.to_thread(
                        layers.unpack, file, row["mediaType"], self._store.layers_dir, diff_id
                    )
            except (HttpError, OSError, ValueError, tarfile.TarError, zlib.error) as exc:
                raise PullError(f"failed to extract layer {diff_id}: {exc}") from exc


def machine() -> str:
    return os.uname().machine
