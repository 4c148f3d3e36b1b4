"""`tiphys node stop NODE`: switch a machine off as by its power button: nobody is told."""

from collections.abc import Sequence

from tiphys.cli.arguments import Parser
from tiphys.cli.output import Steps
from tiphys.cluster import node_switch, nodes
from tiphys.cluster.commands.stop import existing
from tiphys.cluster.start_lock import start_lock


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys node stop", description="switch a machine off")
    parser.add_argument("node")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    options = parser.parse_args(arguments)
    steps = Steps(as_json=options.output == "json")
    with start_lock(steps.title):
        changed = nodes.with_switch(existing(name), options.node, stopped=True)
        node_switch.switch_off(changed, nodes.find(changed, options.node))
    steps.done(f"Stopped node {options.node}", node=options.node)
    return 0
