"""`tiphys image COMMAND`: finds the command's module."""

from collections.abc import Sequence
from typing import Final

from tiphys.cluster.commands.group import Group

COMMANDS: Final = {
    "build": "build an image from a Dockerfile",
    "history": "show the steps an image was made of",
    "load": "load an archive or a layout of images",
    "ls": "list images",
    "prune": "remove layers that no image has",
    "pull": "fetch an image from its registry, for every node",
    "push": "send an image to the registry of its name",
    "rm": "remove images",
    "save": "write images to an archive",
    "tag": "give an image another name",
    "tree": "draw which image is forked from which",
}
ALIASES: Final = {"list": "ls", "rmi": "rm", "remove": "rm"}
GROUP: Final = Group(
    name="image",
    package="tiphys.cluster.commands.image",
    what="the image",
    commands=COMMANDS,
    aliases=ALIASES,
)


def run(profile: str, arguments: Sequence[str]) -> int:
    return GROUP.run(profile, arguments)
