"""The dashboard's image: the built pages (`make dashboard`) on the bundled busybox.

Tagged by its content, so that a new build rolls out and an old one is never served in its place.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tiphys.runtime.images import bundled
from tiphys.runtime.images.bundled import Entry
from tiphys.runtime.images.registry_storage import RegistryStorage

WEB: Final = Path(__file__).parent / "web"
REPOSITORY: Final = "docker.io/tiphys/dashboard"
PORT: Final = 9090  # The port of Kubernetes Dashboard when it serves HTTP.
# Process 1 gets no signal that it does not handle: the shell waits, so that its trap runs at once.
_SERVE: Final = f"""#!/bin/sh
trap 'kill $server 2>/dev/null; wait $server; exit 0' TERM INT
httpd -f -p {PORT} -h /www -c /etc/httpd.conf &
server=$!
wait $server
"""


class NotBuilt(Exception):
    """The pages are not there."""


def pages(web: Path = WEB) -> dict[str, bytes]:
    """The built files by name. Raises NotBuilt."""
    found = {p.name: p.read_bytes() for p in sorted(web.glob("*.*")) if not p.name.startswith(".")}
    if "index.html" not in found:
        raise NotBuilt(f"{web} holds no index.html")
    return found


def image_name(files: Mapping[str, bytes]) -> str:
    """The image's name with a tag that depends on the files alone."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\0{len(files[name])}\0".encode() + files[name])
    return f"{REPOSITORY}:{digest.hexdigest()[:12]}"


def build(storage: RegistryStorage, files: Mapping[str, bytes], busybox: str) -> str:
    """Put the image into storage, unless it is there. Returns its name."""
    from tiphys.runtime.images.reference import parse

    name = image_name(files)
    if storage.resolve(parse(name)) is None:
        layers = [bundled.layer(bundled.busybox_entries(busybox)), bundled.layer(_entries(files))]
        process = {"Cmd": ["/serve"], "ExposedPorts": {f"{PORT}/tcp": {}}, "User": "65534:65534"}
        bundled.write_image(storage, (name,), layers, process)
    return name


def _entries(files: Mapping[str, bytes]) -> dict[str, Entry]:
    entries = {
        "serve": Entry(_SERVE.encode()),
        "www": Entry(),
        "etc/httpd.conf": Entry(b".js:text/javascript\n.svg:image/svg+xml\n", mode=0o644),
    }
    return entries | {f"www/{name}": Entry(data, mode=0o644) for name, data in files.items()}
