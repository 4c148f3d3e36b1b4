"""`tiphys image push NAME`: to the registry of its name."""

import asyncio
from collections.abc import Sequence

from tiphys.cli.arguments import Parser
from tiphys.cli.output import CommandError
from tiphys.cluster.commands.image import images
from tiphys.runtime.images import push
from tiphys.runtime.images.push import PushError
from tiphys.runtime.images.stored_image import familiar


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys image push", description="send an image")
    parser.add_argument("image")
    images.add_registry_flags(parser)
    options = parser.parse_args(arguments)
    reference = images.reference(options.image)
    print(f"The push refers to repository [{reference.repository}]")
    login = images.credentials(options, reference.host)
    work = push.push(images.storage(), reference, login, print, options.certs_dir)
    try:
        digest = asyncio.run(work)
    except PushError as exc:
        fix = f"`tiphys image tag {familiar(reference)} HOST/NAME` names a registry of yours; "
        fix += "`docker login` or --creds log in"
        raise CommandError(str(exc), fix=fix, reason="IMAGE_PUSH") from exc
    print(f"{reference.tag or 'digest'}: digest: {digest}")
    return 0
