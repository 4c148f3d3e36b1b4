"""`tiphys node shell NODE [-- COMMAND...]`: in the namespaces of a machine, with its network."""

import os
from collections.abc import Sequence

from tiphys.cli.output import CommandError
from tiphys.cluster import node_network, nodes
from tiphys.cluster.commands.stop import existing


def run(name: str, arguments: Sequence[str]) -> int:
    words = list(arguments)
    command = words[words.index("--") + 1 :] if "--" in words else words[1:]
    profile = existing(name)
    first = words[0] if words and words[0] != "--" else ""
    node = nodes.find(profile, first) if first else profile.nodes[0]
    if not node_network.is_up(profile, node):
        raise CommandError(
            f"node {node.name} is switched off",
            fix=f"tiphys node start {node.name} -p {name}",
            reason="NODE_STOPPED",
        )
    node_network.enter(profile, node)
    shell = os.environ.get("SHELL", "/bin/sh")
    try:
        os.execvp(command[0] if command else shell, command or [shell])
    except OSError as exc:
        raise CommandError(
            f"{command[0] if command else shell}: {exc.strerror}",
            reason="COMMAND_NOT_FOUND",
        ) from exc
