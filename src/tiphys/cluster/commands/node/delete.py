"""`tiphys node delete NODE`: move its pods elsewhere, take it out of the cluster, remove it."""

import shutil
from collections.abc import Sequence

from tiphys.cli.arguments import Parser
from tiphys.cli.output import CommandError, Steps
from tiphys.cluster import node_switch, nodes, processes
from tiphys.cluster.commands.node import drain
from tiphys.cluster.commands.node.list import from_api, joined_nodes
from tiphys.cluster.commands.stop import existing
from tiphys.cluster.profile import Profile
from tiphys.cluster.readiness import Probe
from tiphys.cluster.start_lock import start_lock


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys node delete", description="remove a machine")
    parser.add_argument("node")
    parser.add_argument("--force", action="store_true", help="do not move its pods elsewhere first")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    options = parser.parse_args(arguments)
    steps = Steps(as_json=options.output == "json")
    profile = existing(name)
    if profile.listen and options.node in joined_names(profile):
        return _forget_joined(profile, options.node, steps, force=options.force)
    node = nodes.find(profile, options.node)
    if len(profile.nodes) == 1:
        raise CommandError(
            f"{node.name} is the last node of the cluster",
            fix=f"tiphys delete -p {name}",
            reason="NODE_LAST",
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


def joined_names(profile: Profile) -> set[str]:
    """Machines that have joined: the API knows them, the profile does not."""
    return {node.name for node in joined_nodes(profile, from_api(profile))}


def _forget_joined(profile: Profile, node: str, steps: Steps, *, force: bool) -> int:
    """Of a machine elsewhere only the API's object is ours; the rest is taken away there.

    Raises CommandError.
    """
    if not force:
        drain.drain(profile.name, [node])
        steps.say("pods moved elsewhere")
    Probe.at_once(profile).delete(f"/api/v1/nodes/{node}")
    steps.done(f"Deleted node {node}; on that machine `tiphys delete` removes the rest", node=node)
    return 0
