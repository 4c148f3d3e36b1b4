"""CRI's ImageService: list, status, pull, remove, file system usage.

Upstream: cri-api ImageService; containerd pkg/cri/server image_*.go.
"""

import asyncio
import base64
import logging
import shutil
from collections.abc import Mapping
from typing import Any

from tiphys.cri.errors import CriError, invalid
from tiphys.lib.logs import Secret
from tiphys.runtime.images import manifest
from tiphys.runtime.images.distribution import Credentials, PullError
from tiphys.runtime.images.pull import Puller
from tiphys.runtime.images.reference import parse
from tiphys.runtime.images.store import Image
from tiphys.runtime.node import Node

log = logging.getLogger(__name__)

Call = Mapping[str, Any]
Answer = dict[str, Any]


class Images:
    def __init__(self, node: Node, puller: Puller) -> None:
        self._node = node
        self._puller = puller

    async def list(self, request: Call) -> Answer:
        wanted = ((request.get("filter") or {}).get("image") or {}).get("image", "")
        if wanted:
            found = self._node.images.find(wanted)
            return {"images": [row(found)] if found else []}
        return {"images": [row(image) for image in self._node.images.images()]}

    async def status(self, request: Call) -> Answer:
        found = self._node.images.find((request.get("image") or {}).get("image", ""))
        return {"image": row(found)} if found else {}

    async def pull(self, request: Call) -> Answer:
        name = (request.get("image") or {}).get("image", "")
        try:
            reference = parse(name)
        except ValueError as exc:
            raise invalid(f'failed to parse image reference "{name}": {exc}') from exc
        try:
            image = await self._puller.pull(reference, credentials(request.get("auth") or {}))
        except PullError as exc:
            log.warning("image pull failed", extra={"image": name, "why": str(exc)})
            raise CriError("NOT_FOUND" if exc.missing else "UNKNOWN", str(exc)) from exc
        log.info("image pulled", extra={"image": name, "id": image.id})
        return {"image_ref": image.id}

    async def remove(self, request: Call) -> Answer:
        name = (request.get("image") or {}).get("image", "")
        self._node.images.remove(name)
        for path in self._node.images.sweep(self._node.records.layers_in_use()):
            await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
        return {}

    async def fs_info(self, request: Call) -> Answer:
        bytes_used, inodes = self._node.images.usage()
        images = {
            "timestamp": self._node.now(),
            "fs_id": {"mountpoint": self._node.images.directory},
            "used_bytes": {"value": bytes_used},
            "inodes_used": {"value": inodes},
        }
        containers = {
            "timestamp": self._node.now(),
            "fs_id": {"mountpoint": f"{self._node.config.root_dir}/containers"},
            "used_bytes": {"value": 0},
            "inodes_used": {"value": 0},
        }
        return {"image_filesystems": [images], "container_filesystems": [containers]}


def row(image: Image) -> Answer:
    """CRI's Image."""
    return {
        "id": image.id,
        "repo_tags": image.tags,
        "repo_digests": image.digests,
        "size": image.size_bytes,
        "spec": {"image": image.id},
        "pinned": image.pinned,
        **manifest.user_of(image.config),
    }


def credentials(auth: Call) -> Credentials:
    """CRI's AuthConfig; `auth` is base64 of user:password as in Docker's config file."""
    username, password = auth.get("username", ""), auth.get("password", "")
    if auth.get("auth"):
        try:
            text = base64.b64decode(auth["auth"], validate=True).decode()
        except ValueError as exc:
            raise invalid("auth is not base64 of user:password") from exc
        username, _, password = text.partition(":")
    token = auth.get("registry_token") or ""
    if auth.get("identity_token"):
        password = auth["identity_token"]
    return Credentials(username, Secret(password.rstrip("\0")), Secret(token))
