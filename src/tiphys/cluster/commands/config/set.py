"""`tiphys config set NAME VALUE`."""

import os
from collections.abc import Sequence

from tiphys.cli.arguments import Parser
from tiphys.cluster import settings
from tiphys.cluster.profile import Roots


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys config set", description="what the next start begins with")
    parser.add_argument("name", metavar="NAME", help=", ".join(settings.SETTINGS))
    parser.add_argument("value", metavar="VALUE")
    options = parser.parse_args(arguments)
    roots = Roots.from_environment(os.environ)
    value = settings.checked(options.name, options.value)
    settings.save(roots, settings.load(roots) | {options.name: value})
    if options.name != settings.PROFILE:
        print("This takes effect for new clusters: tiphys delete, and then tiphys start")
    return 0
