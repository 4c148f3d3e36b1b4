"""`tiphys store COMMAND`: finds the command's module."""

from collections.abc import Sequence
from typing import Final

from tiphys.cluster.commands.group import Group
from tiphys.storage.backend import StorageError

COMMANDS: Final = {
    "backup": "write all objects into a file; the cluster may run",
    "restore": "make a stopped cluster hold what such a file holds",
    "migrate": "copy a stopped cluster's store into another kind of store",
}
GROUP: Final = Group(
    name="store",
    package="tiphys.cluster.commands.store",
    what="the store",
    commands=COMMANDS,
    errors={StorageError: "STORE_FAILED"},
)


def run(profile: str, arguments: Sequence[str]) -> int:
    return GROUP.run(profile, arguments)
