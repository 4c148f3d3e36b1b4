"""`tiphys image tag SOURCE TARGET`: another name for an image."""

from collections.abc import Sequence

from tiphys.cli.arguments import Parser
from tiphys.cli.output import CommandError
from tiphys.cluster.commands.image import images


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys image tag", description="name an image")
    parser.add_argument("source", help="a name or the beginning of an id")
    parser.add_argument("target", help="the new name")
    options = parser.parse_args(arguments)
    storage = images.storage()
    target = images.reference(options.target)
    if target.digest:
        raise CommandError(
            "refusing to create a tag with a digest reference", fix="NAME:TAG", reason="IMAGE_NAME"
        )
    # An index stays one: the name is given to what the source's name leads to.
    digest = storage.resolve(images.reference(options.source))
    storage.tag(target, digest or images.found(storage, options.source).digest)
    return 0
