"""`tiphys ip [NODE]`: the address of a machine, as minikube prints it."""

from collections.abc import Sequence

from tiphys.cli.arguments import Parser
from tiphys.cli.output import CommandError
from tiphys.cluster import nodes
from tiphys.cluster.commands.stop import existing


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys ip", description="the address of a machine")
    parser.add_argument("node", nargs="?", default="", help="default: the first one")
    options = parser.parse_args(arguments)
    profile = existing(name)
    if not profile.nodes:
        raise CommandError(
            f'profile "{name}" is a control plane alone',
            fix="start one with --nodes",
            reason="PROFILE_NO_NODES",
        )
    node = nodes.find(profile, options.node) if options.node else profile.nodes[0]
    print(node.address)
    return 0
