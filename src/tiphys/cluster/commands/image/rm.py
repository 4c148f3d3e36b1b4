"""`tiphys image rm NAME...`: forget names, and free what no name leads to any more.

Running nodes of the profile forget the image too, unless a container uses it.
"""

import asyncio
import contextlib
import os
from collections.abc import Sequence

from tiphys.cli.arguments import Parser
from tiphys.cli.output import CommandError
from tiphys.cluster import profile as profiles
from tiphys.cluster.commands.image import images
from tiphys.cluster.profile import Profile, Roots
from tiphys.cri.client import CriClient
from tiphys.cri.errors import CriError
from tiphys.runtime.images.reference import Reference
from tiphys.runtime.images.stored_image import familiar


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys image rm", description="remove images")
    parser.add_argument("images", nargs="+", metavar="IMAGE")
    parser.add_argument("-f", "--force", action="store_true", help="no error for unknown names")
    options = parser.parse_args(arguments)
    storage = images.storage()
    gone: list[Reference] = []
    for text in options.images:
        reference = images.reference(text)
        if storage.remove_tag(reference):
            print(f"Untagged: {familiar(reference)}")
            gone.append(reference)
        elif not options.force:
            raise CommandError(
                f"No such image: {familiar(reference)}",
                fix="tiphys image ls",
                reason="IMAGE_NOT_FOUND",
            )
    for digest in storage.sweep():
        print(f"Deleted: {digest}")
    profile = profiles.load(Roots.from_environment(os.environ), name)
    if profile is not None and gone:
        asyncio.run(_forget(profile, gone))
    return 0


async def _forget(profile: Profile, gone: Sequence[Reference]) -> None:
    for node in profile.running_nodes:
        client = CriClient(str(profile.node_run_directory(node) / "runtime.sock"))
        try:
            for reference in gone:
                with contextlib.suppress(CriError, OSError):  # It may not run just now.
                    await client.call("RemoveImage", {"image": {"image": str(reference)}})
        finally:
            client.close()
