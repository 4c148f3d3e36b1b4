"""Pulls an image from the registry of its name into the embedded one, for every node to have."""

import tarfile
import zlib
from collections.abc import Callable
from typing import Any

from tiphys.runtime.images import layers, manifest
from tiphys.runtime.images.distribution import Credentials, PullError, Resolved, resolve
from tiphys.runtime.images.http_client import AUTHORITIES, HttpError
from tiphys.runtime.images.reference import Reference
from tiphys.runtime.images.registry_storage import RegistryStorage


async def pull(
    storage: RegistryStorage,
    reference: Reference,
    credentials: Credentials,
    machine: str,
    say: Callable[[str], None],
    authorities: str = AUTHORITIES,
) -> str:
    """Returns the digest that reference names now. Nothing is named that is not whole.

    Raises: PullError.
    """
    found = await resolve(reference, {}, credentials, machine, authorities)
    try:
        diff_ids: list[str] = manifest.decode(found.config)["rootfs"]["diff_ids"]
        rows: list[dict[str, Any]] = found.manifest["layers"]
        if len(diff_ids) != len(rows):
            raise PullError("config and manifest disagree about the layers")
        with storage.writing():
            for diff_id, row in zip(diff_ids, rows, strict=True):
                await _layer(storage, found, diff_id, row)
                say(f"{row['digest'][7:19]}: Pull complete")
            storage.put_blob(found.config)
            return storage.put_manifest(reference, found.document)
    except (
        HttpError,
        OSError,
        ValueError,
        KeyError,
        TypeError,
        EOFError,
        tarfile.TarError,
        zlib.error,
    ) as exc:
        raise PullError(f'failed to pull image "{reference}": {exc}') from exc


async def _layer(
    storage: RegistryStorage, found: Resolved, diff_id: str, row: dict[str, Any]
) -> None:
    """A layer is kept only when it is what the config says and leads nowhere outside."""
    if storage.has_blob(row["digest"]):
        return
    with storage.new_blob() as file:
        await found.registry.blob(row["digest"], file)
        file.seek(0)
        layers.check(file, row["mediaType"], diff_id)
        storage.keep_blob(file, row["digest"])
