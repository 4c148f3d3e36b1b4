"""`tiphys pause [-n NAMESPACES | -A]`: freeze containers and the control plane."""

import json
from collections.abc import Callable, Sequence
from typing import Final

from tiphys.cli.arguments import Parser
from tiphys.cli.output import CommandError
from tiphys.cluster import pausing, processes
from tiphys.cluster.commands.stop import existing
from tiphys.cluster.profile import Profile

ALL: Final = "*"


def run(name: str, arguments: Sequence[str]) -> int:
    return change(name, arguments, "pause", "Paused", pausing.pause)


def change(
    name: str,
    arguments: Sequence[str],
    verb: str,
    done: str,
    work: Callable[[Profile, Sequence[str]], int],
) -> int:
    """Both `pause` and `unpause`. Raises CommandError."""
    parser = Parser(prog=f"tiphys {verb}", description=f"{verb} containers and the control plane")
    parser.add_argument(
        "-n",
        "--namespaces",
        default=",".join(pausing.DEFAULT_NAMESPACES),
        metavar="A,B",
        help="default: %(default)s; kube-system is the control plane too",
    )
    parser.add_argument("-A", "--all-namespaces", action="store_true")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    options = parser.parse_args(arguments)
    profile = existing(name)
    if processes.supervisor(profile) is None:
        raise CommandError(
            f'profile "{name}" does not run',
            fix=f"tiphys start -p {name}",
            reason="CLUSTER_UNREACHABLE",
        )
    words = [word for word in options.namespaces.split(",") if word]
    count = work(profile, [] if options.all_namespaces else words)
    where = "all namespaces" if options.all_namespaces else ", ".join(words)
    if options.output == "json":
        print(json.dumps({"profile": name, verb: count, "namespaces": words}))
    else:
        print(f"{done} {count} containers in: {where}")
    return 0
