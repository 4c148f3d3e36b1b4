"""`tiphys profile list`: the profiles of this machine."""

import json
import os
from collections.abc import Sequence

from tiphys.cli.arguments import Parser
from tiphys.cli.output import table
from tiphys.cluster import processes
from tiphys.cluster import profile as profiles
from tiphys.cluster.profile import ProfileError, Roots


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys profile list", description="the profiles of this machine")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    options = parser.parse_args(arguments)
    roots = Roots.from_environment(os.environ)
    rows = []
    for one in profiles.names(roots):
        try:
            profile = profiles.load(roots, one)
        except ProfileError:
            profile = None
        if profile is None:  # Also a folder in which nothing was chosen yet.
            rows.append([one, "Damaged", "-", "-"])
            continue
        state = "Running" if processes.supervisor(profile) else "Stopped"
        rows.append([one, state, profile.server, str(len(profile.nodes))])
    header = ["PROFILE", "STATE", "SERVER", "NODES"]
    if options.output == "json":
        print(json.dumps([dict(zip(map(str.lower, header), r, strict=True)) for r in rows]))
    else:
        print(table(header, rows) if rows else "No profiles: tiphys start")
    return 0
