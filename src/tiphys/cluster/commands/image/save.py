"""`tiphys image save IMAGE... -o FILE`: an archive of `docker load` and an OCI layout."""

import os
import sys
from collections.abc import Sequence

from tiphys.cli.arguments import Parser
from tiphys.cli.output import CommandError
from tiphys.cluster.commands.image import images
from tiphys.runtime.images import save
from tiphys.runtime.images.pull import machine


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys image save", description="save images")
    parser.add_argument("images", nargs="+", metavar="IMAGE")
    parser.add_argument("-o", "--output", default="", help="a file; standard output without it")
    parser.add_argument(
        "--format",
        choices=("docker-archive", "oci-archive", "oci-dir"),
        default="docker-archive",
        help="every archive is both; oci-dir writes the layout as a directory",
    )
    options = parser.parse_args(arguments)
    if not options.output and len(options.images) == 2 and _is_file(options.images[1]):
        options.output = options.images.pop()  # minikube's order: image save IMAGE FILE
    storage = images.storage()
    for one in options.images:
        images.found(storage, one)
    references = [images.reference(one) for one in options.images]
    if options.format == "oci-dir":
        if not options.output:
            raise CommandError("oci-dir needs a directory", fix="-o DIRECTORY", reason="IMAGE_SAVE")
        save.save(storage, references, save.DirectoryTarget(options.output), machine())
    elif options.output and options.output != "-":
        partial = f"{options.output}.partial"
        with open(partial, "wb") as file:
            save.save_archive(storage, references, file, machine())
        os.replace(partial, options.output)
    elif sys.stdout.isatty():
        raise CommandError(
            "cowardly refusing to save to a terminal", fix="use -o FILE", reason="IMAGE_SAVE"
        )
    else:
        save.save_archive(storage, references, sys.stdout.buffer, machine())
    return 0


def _is_file(word: str) -> bool:
    return word == "-" or word.endswith(".tar") or word.startswith(("/", "./"))
