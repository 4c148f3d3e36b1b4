"""`tiphys net COMMAND`: finds the command's module."""

from collections.abc import Sequence
from typing import Final

from tiphys.cluster.commands.group import Group
from tiphys.cluster.netcheck.place import PlaceError

COMMANDS: Final = {
    "doctor": "find what is wrong with the network, why, and what mends it",
    "trace": "the way of a packet, hop by hop, and where it would fail",
    "diff": "what another proxy mode or overlay would change; changes nothing",
}
GROUP: Final = Group(
    name="net",
    package="tiphys.cluster.commands.net",
    what="the network",
    commands=COMMANDS,
    errors={PlaceError: "NET_FACT"},
)


def run(profile: str, arguments: Sequence[str]) -> int:
    return GROUP.run(profile, arguments)
