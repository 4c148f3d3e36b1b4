"""`tiphys config COMMAND`: finds the command's module. Words: minikube's."""

from collections.abc import Sequence
from typing import Final

from tiphys.cluster.commands.group import Group

COMMANDS: Final = {
    "set": "what the next start of a new cluster begins with",
    "get": "print one setting",
    "unset": "take a setting back",
    "view": "print all settings",
    "defaults": "print which settings there are and what they may be",
}
GROUP: Final = Group(
    name="config",
    package="tiphys.cluster.commands.config",
    what="the setting",
    commands=COMMANDS,
)


def run(profile: str, arguments: Sequence[str]) -> int:
    return GROUP.run(profile, arguments)
