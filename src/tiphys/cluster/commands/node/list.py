"""`tiphys node list`: the machines, what each is for and whether it works."""

import json
from collections.abc import Sequence
from typing import Any

from tiphys.api.meta import Obj, condition
from tiphys.cli.arguments import Parser
from tiphys.cli.output import table
from tiphys.cluster import processes
from tiphys.cluster.commands.stop import existing
from tiphys.cluster.profile import Node, Profile
from tiphys.network.plan import internal_address


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys node list", description="show the machines")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    options = parser.parse_args(arguments)
    profile = existing(name)
    items = describe(profile)
    if options.output == "json":
        print(json.dumps({"profile": name, "items": items}, indent=2))
    else:
        rows = [[i["name"], i["role"], i["address"], i["status"]] for i in items]
        print(table(["NAME", "ROLE", "ADDRESS", "STATUS"], rows))
    return 0


def describe(profile: Profile) -> list[dict[str, Any]]:
    """One entry per machine; its status is the API's word if the API answers."""
    known = from_api(profile)
    joined = joined_nodes(profile, known) if profile.listen else []
    return [
        {
            "name": node.name,
            "role": node.role,
            "address": node.address,
            "status": status(profile, node, known.get(node.name)),
        }
        for node in (*profile.nodes, *joined)
    ]


def joined_nodes(profile: Profile, known: dict[str, Obj]) -> list[Node]:
    """Machines that the API knows and the profile does not: they have joined. Pure."""
    own = {node.name for node in profile.nodes}
    return [Node(name, internal_address(known[name])) for name in sorted(known.keys() - own)]


def status(profile: Profile, node: Node, seen: Obj | None) -> str:
    """Stopped, Ready, NotReady; Unknown where the API does not tell."""
    if node.stopped or processes.supervisor(profile) is None:
        return "Stopped"
    if seen is None:
        return "Unknown"
    found = condition(seen, "Ready") or {}
    return "Ready" if found.get("status") == "True" else "NotReady"


def from_api(profile: Profile) -> dict[str, Obj]:
    """The Node objects by name; none when the cluster does not run."""
    if processes.supervisor(profile) is None:
        return {}
    from tiphys.cluster.readiness import Probe

    listed = Probe.at_once(profile).get("/api/v1/nodes") or {}
    items = listed.get("items")
    return {i["metadata"]["name"]: i for i in items} if isinstance(items, list) else {}
