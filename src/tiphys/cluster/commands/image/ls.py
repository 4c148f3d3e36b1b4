"""`tiphys image ls`: images of the embedded registry, which every profile pulls from."""

import json
from collections.abc import Sequence
from typing import Any

from tiphys.cli.arguments import Parser
from tiphys.cli.output import table
from tiphys.cluster.commands.image import images
from tiphys.runtime.images import manifest
from tiphys.runtime.images.registry_storage import RegistryStorage


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys image ls", description="list images")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    parser.add_argument("-q", "--quiet", action="store_true", help="ids only")
    options = parser.parse_args(arguments)
    storage = images.storage()
    rows = [
        {
            "repository": reference.repository,
            "tag": reference.tag,
            "digest": digest,
            "sizeBytes": size_bytes(storage, digest),
        }
        for reference, digest in storage.list()
    ]
    if options.output == "json":
        print(json.dumps(rows))
    elif options.quiet:
        print("\n".join(image.id[7:19] for _, image in images.every(storage)))
    else:
        header = ["REPOSITORY", "TAG", "DIGEST", "SIZE"]
        print(table(header, [_shown(row) for row in rows]) if rows else "No images")
    return 0


def size_bytes(storage: RegistryStorage, digest: str) -> int:
    """What a pull of the image transfers; an index counts all its images."""
    with storage.open_blob(digest) as file:
        document = manifest.decode(file.read(manifest.DOCUMENT_BYTES_MAX))
    if manifest.is_index(document):
        parts = [row["digest"] for row in document["manifests"] if storage.has_blob(row["digest"])]
        return sum(size_bytes(storage, part) for part in parts)
    return sum(int(row["size"]) for row in [document["config"], *document["layers"]])


def _shown(row: dict[str, Any]) -> list[str]:
    size = images.size(row["sizeBytes"])
    return [row["repository"], row["tag"], row["digest"][7:19], size]
