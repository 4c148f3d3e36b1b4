"""`tiphys image pull NAME`: from its registry into the embedded one, for every node to have."""

import asyncio
from collections.abc import Sequence

from tiphys.cli.arguments import Parser
from tiphys.cli.output import CommandError
from tiphys.cluster.commands.image import images
from tiphys.runtime.images import registry_pull
from tiphys.runtime.images.distribution import PullError
from tiphys.runtime.images.pull import machine


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys image pull", description="fetch an image")
    parser.add_argument("image")
    images.add_registry_flags(parser)
    options = parser.parse_args(arguments)
    reference = images.reference(options.image)
    work = registry_pull.pull(
        images.storage(),
        reference,
        images.credentials(options, reference.host),
        machine(),
        print,
        options.certs_dir,
    )
    try:
        digest = asyncio.run(work)
    except PullError as exc:
        fix = "check the name; `docker login` or --creds where the registry wants a login"
        raise CommandError(str(exc), fix=fix, reason="IMAGE_PULL") from exc
    print(f"Digest: {digest}\nStatus: Downloaded image for {reference}")
    return 0
