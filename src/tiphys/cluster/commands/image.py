"""`tiphys image ls | load FILE`: images of the embedded registry, which every profile pulls from.

`load` takes what `docker save`, `podman save` or `skopeo copy ... oci-archive:` wrote; the images
can then be used under their names on a machine without internet.
"""

import argparse
import json
import os
from collections.abc import Sequence
from typing import Any

from tiphys.cli.output import CommandError, report, table
from tiphys.cluster.profile import Roots


def run(name: str, arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="tiphys image", description="list or load images")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ls|load")
    listing = actions.add_parser("ls", aliases=["list"], help="list images")
    loading = actions.add_parser("load", help="load an archive of images")
    loading.add_argument("file", help="a file of `docker save` or an OCI archive")
    loading.add_argument("--name", default="", help="a name, when the archive has none")
    for one in (listing, loading):
        one.add_argument("-o", "--output", choices=("text", "json"), default="text")
    options = parser.parse_args(arguments)
    # Beside the profiles, which share it: node_components.registry_config.
    directory = str(Roots.from_environment(os.environ).state / ".cache" / "registry")
    as_json = options.output == "json"
    try:
        if options.action == "load":
            return _load(directory, options.file, options.name, as_json=as_json)
    except CommandError as exc:
        return report(exc, as_json=as_json)
    return _list(directory, as_json=as_json)


def _load(directory: str, path: str, name: str, *, as_json: bool) -> int:
    from tiphys.runtime.images import archive
    from tiphys.runtime.images.registry_storage import RegistryStorage

    try:
        references = archive.load(RegistryStorage(directory), path, name)
    except (archive.ArchiveError, OSError) as exc:
        fix = "write one: docker save IMAGE -o FILE"
        raise CommandError(f"cannot load images: {exc}", fix=fix) from exc
    if as_json:
        print(json.dumps({"loaded": [str(reference) for reference in references]}))
    else:
        for reference in references:
            print(f"Loaded {reference}")
    return 0


def _list(directory: str, *, as_json: bool) -> int:
    from tiphys.runtime.images.registry_storage import RegistryStorage

    storage = RegistryStorage(directory)
    rows = [
        {
            "repository": reference.repository,
            "tag": reference.tag,
            "digest": digest,
            "sizeBytes": size_bytes(storage, digest),
        }
        for reference, digest in storage.list()
    ]
    if as_json:
        print(json.dumps(rows))
    else:
        header = ["REPOSITORY", "TAG", "DIGEST", "SIZE"]
        print(table(header, [_shown(row) for row in rows]) if rows else "No images")
    return 0


def size_bytes(storage: Any, digest: str) -> int:
    """What a pull of the image transfers; an index counts all its images."""
    from tiphys.runtime.images import manifest

    with storage.open_blob(digest) as file:
        document = manifest.decode(file.read(manifest.DOCUMENT_BYTES_MAX))
    if manifest.is_index(document):
        return sum(size_bytes(storage, row["digest"]) for row in document["manifests"])
    return sum(int(row["size"]) for row in [document["config"], *document["layers"]])


def _shown(row: dict[str, Any]) -> list[str]:
    size = row["sizeBytes"]
    text = f"{size / 1e6:.1f}MB" if size >= 1e6 else f"{size / 1e3:.1f}kB"
    return [row["repository"], row["tag"], row["digest"][7:19], text]
