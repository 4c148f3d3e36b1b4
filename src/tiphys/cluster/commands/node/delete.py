"""`tiphys node delete NODE`: move its pods elsewhere, take it out of the cluster, remove it."""

import argparse
import shutil
from collections.abc import Sequence

from tiphys.cli.output import CommandError, Steps
from tiphys.cluster import node_switch, nodes, processes
from tiphys.cluster.commands.node import drain
from tiphys.cluster.commands.stop import existing
from tiphys.cluster.readiness import Probe
from tiphys.cluster.start_lock import start_lock


def run(name: str, arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="tiphys node delete", description="remove a machine")
    parser.add_argument("node")
    parser.add_argument("--force", action="store_true", help="do not move its pods elsewhere first")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    options = parser.parse_args(arguments)
    steps = Steps(as_json=options.output == "json")
    profile = existing(name)
    node = nodes.find(profile, options.node)
    if len(profile.nodes) == 1:
        raise CommandError(
            f"{node.name} is the last node of the cluster", fix=f"tiphys delete -p {name}"
        )
    runs = processes.supervisor(profile) is not None
    if runs and not node.stopped and not options.force:
        drain.drain(name, [node.name])
        steps.say("pods moved elsewhere")
    with start_lock(steps.title):
        changed = nodes.without_node(existing(name), node.name)
        node_switch.switch_off(changed, node, remove=True)
        for directory in (changed.node_directory(node), changed.node_run_directory(node)):
            shutil.rmtree(directory, ignore_errors=True)
        if runs:
            Probe.at_once(changed).delete(f"/api/v1/nodes/{node.name}")
    steps.done(f"Deleted node {node.name}", node=node.name)
    return 0
