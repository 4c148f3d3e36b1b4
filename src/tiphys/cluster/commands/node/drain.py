"""`tiphys node drain NODE`: kubectl's drain, with what a local cluster wants as defaults."""

import os
from collections.abc import Sequence

from tiphys.cli.kubectl import main as kubectl
from tiphys.cli.output import CommandError
from tiphys.cluster import nodes
from tiphys.cluster.commands.stop import existing


def run(name: str, arguments: Sequence[str]) -> int:
    rest = [word for word in arguments if not word.startswith("-")]
    if len(rest) != 1:
        raise CommandError(
            "name one node", fix="tiphys node drain NODE [kubectl drain's flags]", reason="USAGE"
        )
    profile = existing(name)
    if not profile.listen:  # Else it may be a machine that has joined: the API knows.
        nodes.find(profile, rest[0])
    drain(name, arguments)
    return 0


def drain(name: str, arguments: Sequence[str]) -> None:
    """Raises CommandError when pods are left."""
    defaults = ["--ignore-daemonsets", "--delete-emptydir-data", "--force"]
    if kubectl.run(name, ["drain", *defaults, *arguments]) != os.EX_OK:
        raise CommandError(
            f"node {arguments[0]} still has pods that may not be moved",
            fix="see `kubectl get pdb -A`; --disable-eviction overrides budgets",
            reason="NODE_DRAIN",
        )
