"""`tiphys namespace COMMAND`: finds the command's module."""

from collections.abc import Sequence
from typing import Final

from tiphys.cluster.commands.group import Group

COMMANDS: Final = {"create": "a namespace with its bounds, and a kubeconfig that sees it alone"}
GROUP: Final = Group(
    name="namespace",
    package="tiphys.cluster.commands.namespace",
    what="the namespace",
    commands=COMMANDS,
)


def run(profile: str, arguments: Sequence[str]) -> int:
    return GROUP.run(profile, arguments)
