"""Logins as `docker login` keeps them. Source: docs.docker.com/reference/cli/docker/login."""

import base64
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tiphys.lib.logs import Secret
from tiphys.runtime.images.distribution import Credentials
from tiphys.runtime.images.reference import DEFAULT_HOST

DOCKER_HUB_KEYS: Final = ("https://index.docker.io/v1/", "index.docker.io", "docker.io")


def path(environ: Mapping[str, str]) -> Path:
    """$DOCKER_CONFIG/config.json, or the one in the home directory."""
    directory = environ.get("DOCKER_CONFIG") or os.path.join(
        environ.get("HOME", "/root"), ".docker"
    )
    return Path(directory) / "config.json"


def credentials(file: Path, host: str) -> Credentials:
    """The login for host; an empty one when there is none. Raises: ValueError, OSError."""
    try:
        document: dict[str, Any] = json.loads(file.read_text())
    except FileNotFoundError:
        return Credentials()
    known = document.get("auths") or {}
    keys = DOCKER_HUB_KEYS if host == DEFAULT_HOST else (host, f"https://{host}", f"http://{host}")
    row: dict[str, Any] = next((known[key] for key in keys if key in known), {})
    username, password = row.get("username", ""), row.get("password", "")
    if row.get("auth"):
        text = base64.b64decode(row["auth"]).decode()
        username, _, password = text.partition(":")
    if row.get("identitytoken"):
        password = row["identitytoken"]
    token = row.get("registrytoken", "")
    return Credentials(username, Secret(password.rstrip("\0")), Secret(token))
