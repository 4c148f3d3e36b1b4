"""`tiphys config get NAME`."""

import os
from collections.abc import Sequence

from tiphys.cli.arguments import Parser
from tiphys.cli.output import CommandError
from tiphys.cluster import settings
from tiphys.cluster.profile import Roots


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys config get", description="print one setting")
    parser.add_argument("name", metavar="NAME", help=", ".join(settings.SETTINGS))
    wanted = parser.parse_args(arguments).name
    settings.check_name(wanted)
    found = settings.load(Roots.from_environment(os.environ))
    if wanted not in found:
        raise CommandError(
            f'the setting "{wanted}" is not set',
            fix=f"tiphys config set {wanted} VALUE",
            reason="CONFIG_KEY",
        )
    print(settings.shown(found[wanted]))
    return 0
