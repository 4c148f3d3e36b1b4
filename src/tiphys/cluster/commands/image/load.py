"""`tiphys image load FILE`: what `docker save`, `podman save` or an OCI layout holds.

The images can then be used under their names on a machine without internet.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Sequence

from tiphys.cli.arguments import Parser
from tiphys.cli.output import CommandError
from tiphys.cluster.commands.image import images
from tiphys.runtime.images import archive
from tiphys.runtime.images.reference import Reference


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys image load", description="load images")
    parser.add_argument("file", nargs="?", default="", help="an archive, a layout, or - for stdin")
    parser.add_argument("-i", "--input", default="", help="as docker's: the archive")
    parser.add_argument("--name", default="", help="a name, when the archive has none")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    options = parser.parse_args(arguments)
    path = options.input or options.file or "-"
    try:
        references = _load(path, options.name)
    except (archive.ArchiveError, OSError) as exc:
        fix = "write one: docker save IMAGE -o FILE"
        raise CommandError(f"cannot load images: {exc}", fix=fix, reason="IMAGE_LOAD") from exc
    if options.output == "json":
        print(json.dumps({"loaded": [str(reference) for reference in references]}))
    else:
        for reference in references:
            print(f"Loaded {reference}")
    return 0


def _load(path: str, name: str) -> list[Reference]:
    storage = images.storage()
    if path != "-":
        return archive.load(storage, path, name)
    with tempfile.NamedTemporaryFile(dir=storage.directory) as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
        file.flush()
        return archive.load(storage, file.name, name)
