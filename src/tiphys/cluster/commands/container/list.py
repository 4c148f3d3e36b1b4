"""`tiphys container list`: a line per container, with what makes it one."""

import json
from collections.abc import Sequence
from typing import Any

from tiphys.cli.arguments import Parser
from tiphys.cli.output import table
from tiphys.cluster.commands.container.observed import Observed, observe
from tiphys.runtime.isolation import MACHINE, NODE

HEADER = ["CONTAINER", "POD", "NODE", "STATE", "PID", "OWN", "SHARED", "CAPS", "SECCOMP", "CGROUP"]


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys container list", description="list containers")
    parser.add_argument("-a", "--all", action="store_true", help="those that have ended, too")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    options = parser.parse_args(arguments)
    found = [one for one in observe(name) if options.all or one.isolation is not None]
    if options.output == "json":
        print(json.dumps([one.document() for one in found]))
        return 0
    print(table(HEADER, [_row(one) for one in found]) if found else "No containers")
    return 0


def _row(one: Observed) -> list[str]:
    about = [one.name, f"{one.namespace}/{one.pod}", one.node, one.state]
    if one.isolation is None:
        return [*about, "-", "-", "-", "-", "-", "-"]
    sandboxing: dict[str, Any] = one.isolation["sandboxing"]
    spaces = {kind: row["sharedWith"] for kind, row in sandboxing["namespaces"].items()}
    outside = [kind for kind, circle in spaces.items() if circle in (MACHINE, NODE)]
    return [
        *about,
        str(one.isolation["process"]["pid"]),
        ",".join(kind for kind in spaces if kind not in outside),
        ",".join(outside) or "-",
        str(len(sandboxing["capabilities"]["effective"])),
        sandboxing["seccomp"]["mode"],
        cgroup(sandboxing["cgroup"]["paths"]),
    ]


def cgroup(paths: dict[str, str]) -> str:
    """One path for all controllers, shortened in its middle: pod and container are long."""
    path = next((path for path in paths.values() if "kubepods" in path), "/")
    parts = path.strip("/").split("/")
    return "/".join([*parts[:-1], parts[-1][:12]])
