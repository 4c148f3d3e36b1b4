"""Pushes an image of the embedded registry to the registry of its name.

Source: OCI distribution-spec, "Pushing" (HEAD, POST an upload, PUT its bytes, PUT the manifest).
"""

import io
from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin, urlsplit

from tiphys.runtime.images import manifest
from tiphys.runtime.images.distribution import Credentials, Registry, endpoints
from tiphys.runtime.images.http_client import AUTHORITIES, HttpError, Response, Upload
from tiphys.runtime.images.reference import Reference
from tiphys.runtime.images.registry_storage import RegistryStorage

ANSWER_BYTES_MAX = 1 << 16


class PushError(Exception):
    """The registry did not take the image; the text says what it did not take, and why."""


class PushRegistry(Registry):
    """A repository that is written to."""

    _actions = "pull,push"

    async def has_blob(self, digest: str) -> bool:
        response = await self.send("HEAD", self.url("blobs", digest), {})
        response.close()
        return response.status == 200

    async def put_blob(self, digest: str, upload: Upload) -> None:
        """Raises: PushError, HttpError."""
        response = await self.send("POST", self.url("blobs", "uploads/"), {"content-length": "0"})
        await _expect(response, 202, f"an upload of {digest}")
        response.close()
        target = urljoin(response.url, response.headers.get("location", ""))
        mark = "&" if urlsplit(target).query else "?"
        headers = {"content-type": "application/octet-stream"}
        response = await self.send("PUT", f"{target}{mark}digest={digest}", headers, upload)
        await _expect(response, 201, digest)
        response.close()

    async def put_manifest(self, name: str, data: bytes) -> None:
        """Raises: PushError, HttpError."""
        kind = manifest.decode(data).get("mediaType", manifest.MANIFEST_TYPES[0])
        upload = Upload(io.BytesIO(data), len(data))
        url = self.url("manifests", name)
        response = await self.send("PUT", url, {"content-type": kind}, upload)
        await _expect(response, 201, f"manifest {name}")
        response.close()


async def _expect(response: Response, status: int, what: str) -> None:
    if response.status == status:
        return
    text = (await response.read(ANSWER_BYTES_MAX)).decode(errors="replace")
    if response.status in (401, 403):
        raise PushError(f"denied: requested access to the resource is denied ({what})")
    raise PushError(f"{what}: the registry answers {response.status}: {_message(text)}")


def _message(text: str) -> str:
    """The registry's own words, from the error document of the specification."""
    try:
        errors: list[dict[str, Any]] = manifest.decode(text.encode())["errors"]
        return "; ".join(f"{error.get('code')}: {error.get('message')}" for error in errors)
    except (ValueError, KeyError, TypeError):
        return text.strip()


async def push(
    storage: RegistryStorage,
    reference: Reference,
    credentials: Credentials,
    say: Callable[[str], None],
    authorities: str = AUTHORITIES,
) -> str:
    """Send the image, its layers first. Returns its digest. Raises: PushError, OSError."""
    digest = storage.resolve(reference)
    if digest is None:
        raise PushError(f"An image does not exist locally with the tag: {reference}")
    endpoint = endpoints(reference.host, {}, authorities)[-1]
    registry = PushRegistry(endpoint, reference.path, credentials)
    try:
        await _push(storage, registry, digest, reference.tag or digest, say)
    except HttpError as exc:
        raise PushError(f"failed to do request: {exc}") from exc
    return digest


async def _push(
    storage: RegistryStorage,
    registry: PushRegistry,
    digest: str,
    name: str,
    say: Callable[[str], None],
) -> None:
    with storage.open_blob(digest) as file:
        data = file.read(manifest.DOCUMENT_BYTES_MAX)
    document = manifest.decode(data)
    for row in document.get("manifests") or ():
        await _push(storage, registry, row["digest"], row["digest"], say)
    for row in (*(document.get("layers") or ()), document.get("config")):
        if row is None:
            continue
        if await registry.has_blob(row["digest"]):
            say(f"{row['digest'][7:19]}: Layer already exists")
            continue
        with storage.open_blob(row["digest"]) as file:
            await registry.put_blob(row["digest"], Upload(file, int(row["size"])))
        say(f"{row['digest'][7:19]}: Pushed")
    await registry.put_manifest(name, data)
