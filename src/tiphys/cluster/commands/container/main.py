"""`tiphys container COMMAND`: finds the command's module."""

from collections.abc import Sequence
from typing import Final

from tiphys.cluster.commands.group import Group

COMMANDS: Final = {
    "list": "every container with its process, namespaces, rights",
    "inspect": "all that makes one container, and what a VM would have besides",
}
ALIASES: Final = {"ls": "list"}
GROUP: Final = Group(
    name="container",
    package="tiphys.cluster.commands.container",
    what="containers",
    commands=COMMANDS,
    aliases=ALIASES,
    about="A container is a process on a host with additional sandboxing.",
)


def run(profile: str, arguments: Sequence[str]) -> int:
    return GROUP.run(profile, arguments)
