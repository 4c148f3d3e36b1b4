"""`tiphys node COMMAND`: finds the command's module."""

from collections.abc import Sequence
from typing import Final

from tiphys.cluster.commands.group import Group

COMMANDS: Final = {
    "list": "show the machines of the cluster",
    "add": "one more machine",
    "delete": "take a machine out of the cluster and remove it",
    "start": "switch a machine on",
    "stop": "switch a machine off: everything on it stops",
    "drain": "move its pods elsewhere",
    "shell": "a shell on a machine, or one command",
}
GROUP: Final = Group(
    name="node",
    package="tiphys.cluster.commands.node",
    what="the node",
    commands=COMMANDS,
)


def run(profile: str, arguments: Sequence[str]) -> int:
    return GROUP.run(profile, arguments)
