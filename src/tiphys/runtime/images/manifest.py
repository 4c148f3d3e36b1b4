"""What an image's JSON documents say. Pure. Sources: OCI image-spec manifest.md, config.md."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

INDEX_TYPES: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFEST_TYPES: Final = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
LAYER_TAR: Final = "application/vnd.oci.image.layer.v1.tar"
CONFIG_TYPE: Final = "application/vnd.oci.image.config.v1+json"
DOCUMENT_BYTES_MAX: Final = 4 << 20  # A manifest or config; distribution's own bound.
ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def encode(document: Mapping[str, Any]) -> bytes:
    """Bytes that are the same each time."""
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()


def decode(data: bytes) -> dict[str, Any]:
    """Raises: ValueError when data is not a JSON object."""
    document = json.loads(data)
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")
    return document


def is_index(document: Mapping[str, Any]) -> bool:
    return document.get("mediaType") in INDEX_TYPES or "manifests" in document


def choose(index: Mapping[str, Any], machine: str) -> str:
    """The digest of the manifest for this machine. Raises: ValueError when there is none."""
    wanted = ARCHITECTURES.get(machine, machine)
    for entry in index.get("manifests", ()):
        platform = entry.get("platform", {})
        if platform.get("os", "linux") == "linux" and platform.get("architecture") == wanted:
            return str(entry["digest"])
    raise ValueError(f"no match for platform in manifest: linux/{wanted}")


def descriptor(media_type: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}


def image_manifest(config: bytes, layers: Sequence[dict[str, Any]]) -> bytes:
    """The manifest of an image made of layer descriptors, lowest first."""
    return encode(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPES[0],
            "config": descriptor(CONFIG_TYPE, config),
            "layers": list(layers),
        }
    )


def user_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """CRI's `uid` or `username` of an image: the kubelet checks runAsNonRoot by it."""
    user = str(config.get("config", {}).get("User") or "").partition(":")[0]
    if user.isdigit():
        return {"uid": {"value": int(user)}}
    return {"username": user} if user else {}
