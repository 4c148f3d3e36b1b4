"""`tiphys node start NODE`: switch a machine on; its pods come back."""

from collections.abc import Sequence

from tiphys.cli.arguments import Parser
from tiphys.cli.output import Steps
from tiphys.cluster import node_switch, nodes
from tiphys.cluster.commands.stop import existing
from tiphys.cluster.start_lock import start_lock


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys node start", description="switch a machine on")
    parser.add_argument("node")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    options = parser.parse_args(arguments)
    steps = Steps(as_json=options.output == "json")
    with start_lock(steps.title):
        changed = nodes.with_switch(existing(name), options.node, stopped=False)
        node_switch.switch_on(changed, nodes.find(changed, options.node), steps)
    steps.done(f"Started node {options.node}", node=options.node)
    return 0
