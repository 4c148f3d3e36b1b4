"""`tiphys profile [NAME | COMMAND]`: alone the one that is meant; with a name, means that one."""

from collections.abc import Sequence
from typing import Final

from tiphys.cluster.commands.group import Group

COMMANDS: Final = {
    "list": "the profiles of this machine",
    "use": "mean this profile where -p is not said",
    "current": "the profile that is meant",
}
GROUP: Final = Group(
    name="profile",
    package="tiphys.cluster.commands.profile",
    what="the profile",
    commands=COMMANDS,
    about="Alone it prints the profile that is meant; with a NAME it means that one from now on.",
)


def run(profile: str, arguments: Sequence[str]) -> int:
    words = list(arguments) or ["current"]
    if words[0] not in (*COMMANDS, "-h", "--help", "help") and len(words) == 1:
        words = ["use", *words]  # minikube's `profile NAME`.
    return GROUP.run(profile, words)
