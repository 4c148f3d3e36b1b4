"""`tiphys unpause [-n NAMESPACES | -A]`: let go on what `tiphys pause` has frozen."""

from collections.abc import Sequence

from tiphys.cluster import pausing
from tiphys.cluster.commands.pause import change


def run(name: str, arguments: Sequence[str]) -> int:
    return change(name, arguments, "unpause", "Unpaused", pausing.unpause)
