"""The images that every cluster carries, made from Debian's busybox-static.

Made the same each time: fixed order, owners and times, layers not compressed (a zlib's output
differs between versions), so that their digests differ only with the busybox itself. All are
forked from one base, whose layer they share.
"""

import io
import os
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tiphys.runtime.images import manifest, stored_image
from tiphys.runtime.images.reference import Reference, parse
from tiphys.runtime.images.registry_storage import RegistryStorage
from tiphys.runtime.images.stored_image import Layer, StoredImage

BUSYBOX: Final = "/bin/busybox"
PATH: Final = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HELLO: Final = "Hello World!"
CREATED: Final = "1970-01-01T00:00:00Z"

# Process 1 gets no signal that it does not handle: the shell waits, so that its trap runs at once.
_HELLO_NODE: Final = """#!/bin/sh
trap 'kill $server 2>/dev/null; wait $server; exit 0' TERM INT
httpd -f -p 8080 -h /www -c /etc/httpd.conf &
server=$!
wait $server
"""
# Debian builds busybox without wget's timeout: -T crashes it, and every script uses -T.
_WGET: Final = """#!/bin/busybox sh
seconds= n=$#
while [ $n -gt 0 ]; do
  word=$1; shift; n=$((n - 1))
  case $word in
    -T|--timeout) seconds=$1; shift; n=$((n - 1)) ;;
    --timeout=*) seconds=${word#--timeout=} ;;
    -T*) seconds=${word#-T} ;;
    *) set -- "$@" "$word" ;;
  esac
done
exec ${seconds:+/bin/busybox timeout "$seconds"} /bin/busybox wget "$@"
"""
_PAUSE: Final = """#!/bin/sh
trap 'kill $! 2>/dev/null; exit 0' TERM INT
while :; do sleep 2147483647 & wait $!; done
"""


@dataclass(frozen=True)
class Entry:
    """One path of a layer: a file, or a link when `link` is set, or a directory."""

    data: bytes | None = None
    link: str = ""
    mode: int = 0o755


def layer(entries: Mapping[str, Entry]) -> bytes:
    """A tar archive that depends on entries alone."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(entries):
            entry = entries[path]
            info = tarfile.TarInfo(path)
            info.mode = entry.mode
            if entry.link:
                info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.link, 0o777
            elif entry.data is None:
                info.type = tarfile.DIRTYPE
            else:
                info.size = len(entry.data)
            archive.addfile(info, io.BytesIO(entry.data) if entry.data is not None else None)
    return output.getvalue()


def busybox_entries(busybox: str) -> dict[str, Entry]:
    """The base: busybox under the name of each of its applets, users, empty directories."""
    with open(busybox, "rb") as file:
        binary = file.read()
    if b"/ld-linux" in binary[:4096]:
        raise ValueError(
            f"{busybox} needs shared libraries, which an image made of it alone has not: "
            "install the package busybox-static"
        )
    listed = subprocess.run([busybox, "--list"], capture_output=True, check=True, text=True)
    entries = {f"bin/{name}": Entry(link="busybox") for name in listed.stdout.split()}
    entries |= {
        "bin/busybox": Entry(binary),
        "bin/wget": Entry(_WGET.encode()),
        "usr/bin/env": Entry(link="../../bin/busybox"),
        "etc/passwd": Entry(
            b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n", mode=0o644
        ),
        "etc/group": Entry(b"root:x:0:\ntty:x:5:\nnobody:x:65534:\n", mode=0o644),
        "tmp": Entry(mode=0o1777),
        "root": Entry(mode=0o700),
    }
    for name in ("bin", "dev", "etc", "home", "proc", "sys", "usr", "usr/bin", "var", "var/run"):
        entries[name] = Entry()
    return entries


HELLO_NODE_ENTRIES: Final = {
    "hello-node": Entry(_HELLO_NODE.encode()),
    "www": Entry(),
    "www/index.html": Entry(HELLO.encode(), mode=0o644),
    # Other paths get the same text, with the status 404 that busybox's httpd gives them.
    "etc/httpd.conf": Entry(b"E404:/www/index.html\n", mode=0o644),
}
PAUSE_ENTRIES: Final = {"pause": Entry(_PAUSE.encode())}


@dataclass(frozen=True)
class Recipe:
    """An image on the base: its names, the layer it adds and what it runs."""

    names: tuple[str, ...]
    entries: Mapping[str, Entry]
    process: Mapping[str, Any]


RECIPES: Final = (
    Recipe(("docker.io/library/busybox:latest",), {}, {"Cmd": ["sh"]}),
    Recipe(
        ("gcr.io/hello-minikube-zero-install/hello-node:latest",),
        HELLO_NODE_ENTRIES,
        {"Cmd": ["/hello-node"], "ExposedPorts": {"8080/tcp": {}}},
    ),
    Recipe(
        ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10.2"),
        PAUSE_ENTRIES,
        {"Entrypoint": ["/pause"], "User": "65535:65535", "WorkingDir": "/"},
    ),
)


def build(storage: RegistryStorage, busybox: str = BUSYBOX) -> dict[str, str]:
    """Put the bundled images into storage. Returns manifest digests by name.

    Raises: FileNotFoundError without Debian's busybox-static.
    """
    base = layer(busybox_entries(busybox))
    digests: dict[str, str] = {}
    with storage.writing():
        for recipe in RECIPES:
            layers = [base, *([layer(recipe.entries)] if recipe.entries else [])]
            document = write_image(storage, recipe.names, layers, recipe.process)
            digests |= dict.fromkeys(recipe.names, document)
    return digests


def fork(
    storage: RegistryStorage,
    base: StoredImage,
    reference: Reference,
    data: bytes,
    process: Mapping[str, Any],
    created_by: str = "tiphys",
) -> StoredImage:
    """An image of one more layer on base, under a name."""
    digest = storage.put_blob(data)
    layers = (*base.layers, Layer(manifest.LAYER_TAR, digest, len(data), digest))
    document = {
        **base.document,
        "config": {**base.process, **process},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [*base.history, {"created": CREATED, "created_by": created_by}],
    }
    identity, written = stored_image.write(storage, document, layers)
    return StoredImage(identity, storage.put_manifest(reference, written), document, layers)


def write_image(
    storage: RegistryStorage,
    names: tuple[str, ...],
    layers: list[bytes],
    process: Mapping[str, Any],
) -> str:
    """An image of plain tar layers under names. Returns its manifest's digest."""
    digests = [storage.put_blob(data) for data in layers]
    machine = os.uname().machine
    config = manifest.encode(
        {
            "architecture": manifest.ARCHITECTURES.get(machine, machine),
            "os": "linux",
            "created": CREATED,
            "config": {"Env": [PATH], **process},
            "rootfs": {"type": "layers", "diff_ids": digests},
            "history": [{"created": CREATED, "created_by": "tiphys"} for _ in layers],
        }
    )
    storage.put_blob(config)
    rows = [manifest.descriptor(manifest.LAYER_TAR, data) for data in layers]
    document = manifest.image_manifest(config, rows)
    digest = ""
    for name in names:
        digest = storage.put_manifest(parse(name), document)
    return digest
