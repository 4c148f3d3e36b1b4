"""`tiphys image ls | load FILE`: the images that a cluster can pull without the internet."""

import argparse
import json
import os
from collections.abc import Sequence

from tiphys.cli.output import CommandError, report, table
from tiphys.cluster.profile import Roots
from tiphys.runtime.images import archive, bundled
from tiphys.runtime.images.registry_storage import RegistryStorage

DIGEST_CHARS = 19  # `sha256:` and twelve digits, as other tools show them.


def run(name: str, arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="tiphys image", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("ls", help="list the images")
    listing.add_argument("-o", "--output", choices=("text", "json"), default="text")
    loading = commands.add_parser("load", help="load an image from docker save or an OCI archive")
    loading.add_argument("file")
    loading.add_argument("--name", default="", help="its name, when the file has none")
    options = parser.parse_args(arguments)
    storage = _storage()
    if options.command == "ls":
        return _list(storage, options.output)
    return _load(storage, options.file, options.name)


def _storage() -> RegistryStorage:
    """What the embedded registries of all profiles serve; bundled images are always in it."""
    roots = Roots.from_environment(os.environ)
    directory = roots.state / ".cache" / "registry"
    directory.mkdir(parents=True, exist_ok=True)
    storage = RegistryStorage(str(directory))
    if not storage.list():
        bundled.build(storage)
    return storage


def _list(storage: RegistryStorage, output: str) -> int:
    found = sorted((str(reference), digest) for reference, digest in storage.list())
    if output == "json":
        print(json.dumps([{"image": i, "digest": d} for i, d in found], indent=2))
    else:
        print(table(["IMAGE", "DIGEST"], [[i, d[:DIGEST_CHARS]] for i, d in found]))
    return 0


def _load(storage: RegistryStorage, path: str, name: str) -> int:
    try:
        loaded = archive.load(storage, path, name)
    except (archive.ArchiveError, OSError) as exc:
        error = CommandError(
            f'cannot load "{path}": {str(exc).splitlines()[0].rstrip(":")}',
            fix="give a file that `docker save`, `podman save` or `skopeo copy` wrote",
        )
        return report(error, as_json=False)
    for reference in loaded:
        print(f"Loaded image: {reference}")
    return 0
