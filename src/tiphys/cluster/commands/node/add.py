"""`tiphys node add`: one more machine, ready when the command returns."""

import re
from collections.abc import Sequence
from typing import Final

from tiphys.cli.arguments import Parser
from tiphys.cli.output import CommandError, Steps
from tiphys.cluster import node_switch
from tiphys.cluster.commands.stop import existing
from tiphys.cluster.nodes import with_node
from tiphys.cluster.start_lock import start_lock

_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")  # RFC 1123, a host name.


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys node add", description="one more machine")
    parser.add_argument(
        "--name", default="", metavar="NODE", help="default: PROFILE-m02, -m03, ..."
    )
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    options = parser.parse_args(arguments)
    if options.name and not _NAME.fullmatch(options.name):
        raise CommandError(
            f'"{options.name}" is not a node\'s name',
            fix='use lower-case letters, digits and "-", at most 63',
            reason="BAD_VALUE",
        )
    steps = Steps(as_json=options.output == "json")
    with start_lock(steps.title):
        profile = existing(name)
        if not profile.nodes:
            raise CommandError(
                f'profile "{name}" is a control plane alone',
                fix="start another one with --nodes",
                reason="PROFILE_NO_NODES",
            )
        changed = with_node(profile, options.name)
        node = changed.nodes[-1]
        node_switch.switch_on(changed, node, steps)
    steps.done(f"Added node {node.name} ({node.address})", node=node.name)
    return 0
