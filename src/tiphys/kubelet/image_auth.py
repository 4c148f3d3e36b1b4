"""Registry credentials from a pod's imagePullSecrets.

Upstream: pkg/credentialprovider (config.go, keyring.go).
"""

import base64
import binascii
from collections.abc import Iterable

import orjson

from tiphys.api.meta import Obj

DOCKER_HUB = ("index.docker.io", "docker.io", "registry-1.docker.io")


def credentials(image: str, secrets: Iterable[Obj]) -> list[dict[str, str]]:
    """AuthConfig messages for the image's registry, the most specific first."""
    registry, path = _split(image)
    found: list[tuple[int, dict[str, str]]] = []
    for secret in secrets:
        for server, entry in _entries(secret).items():
            host, _, prefix = _bare(server).partition("/")
            same = host == registry or (host in DOCKER_HUB and registry in DOCKER_HUB)
            if prefix in ("v1", "v2", "v1/", "v2/"):
                prefix = ""
            if same and (path + "/").startswith(prefix.rstrip("/") + "/" if prefix else ""):
                found.append((len(prefix), _auth(server, entry)))
    return [auth for _, auth in sorted(found, key=lambda f: -f[0])]


def _split(image: str) -> tuple[str, str]:
    first, slash, rest = image.partition("/")
    if slash and (first == "localhost" or any(c in first for c in ".:")):
        return first, rest
    return "docker.io", image


def _bare(server: str) -> str:
    return server.removeprefix("https://").removeprefix("http://").rstrip("/")


def _entries(secret: Obj) -> dict[str, Obj]:
    data = secret.get("data") or {}
    try:
        if text := data.get(".dockerconfigjson"):
            return dict(orjson.loads(base64.b64decode(text)).get("auths") or {})
        if text := data.get(".dockercfg"):
            return dict(orjson.loads(base64.b64decode(text)))
    except (ValueError, AttributeError, binascii.Error):
        return {}
    return {}


def _auth(server: str, entry: Obj) -> dict[str, str]:
    user, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if entry.get("auth") and not user:
        try:
            user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
        except (ValueError, binascii.Error):
            user = ""
    found = {"username": user, "password": password, "server_address": server}
    if entry.get("identitytoken"):
        found["identity_token"] = str(entry["identitytoken"])
    return found
