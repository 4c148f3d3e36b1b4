"""`tiphys config unset NAME`."""

import os
from collections.abc import Sequence

from tiphys.cli.arguments import Parser
from tiphys.cluster import settings
from tiphys.cluster.profile import Roots


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys config unset", description="take a setting back")
    parser.add_argument("name", metavar="NAME", help=", ".join(settings.SETTINGS))
    wanted = parser.parse_args(arguments).name
    settings.check_name(wanted)
    roots = Roots.from_environment(os.environ)
    found = settings.load(roots)
    if found.pop(wanted, None) is not None:
        settings.save(roots, found)
    return 0
