"""`tiphys ip [NODE]`: the address of a machine, as minikube prints it."""

import argparse
from collections.abc import Sequence

from tiphys.cli.output import CommandError, report
from tiphys.cluster import nodes
from tiphys.cluster.commands.stop import existing
from tiphys.cluster.profile import ProfileError


def run(name: str, arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="tiphys ip", description="the address of a machine")
    parser.add_argument("node", nargs="?", default="", help="default: the first one")
    options = parser.parse_args(arguments)
    try:
        profile = existing(name)
        if not profile.nodes:
            raise CommandError(
                f'profile "{name}" is a control plane alone', fix="start one with --nodes"
            )
        node = nodes.find(profile, options.node) if options.node else profile.nodes[0]
    except (CommandError, ProfileError) as exc:
        told = exc if isinstance(exc, CommandError) else CommandError(str(exc))
        return report(told, as_json=False)
    print(node.address)
    return 0
