"""`tiphys node COMMAND`: finds the command's module."""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from tiphys.cli.output import CommandError, report
from tiphys.cluster.commands.stop import as_command_error
from tiphys.cluster.profile import ProfileError

_COMMANDS: Final = "tiphys.cluster.commands.node"
COMMANDS: Final = {
    "list": "show the machines of the cluster",
    "add": "one more machine",
    "delete": "take a machine out of the cluster and remove it",
    "start": "switch a machine on",
    "stop": "switch a machine off: everything on it stops",
    "drain": "move its pods elsewhere",
    "shell": "a shell on a machine, or one command",
}


def run(profile: str, arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print("Usage: tiphys node COMMAND [ARGUMENTS]\n\nCommands:")
        print("\n".join(f"  {name:8}{text}" for name, text in COMMANDS.items()))
        return 0
    name, rest = arguments[0], list(arguments[1:])
    if name not in COMMANDS:
        print(f'Error: unknown command "{name}" for "tiphys node"', file=sys.stderr)
        print("Run 'tiphys node --help' for usage.", file=sys.stderr)
        return 2
    module = import_module(f"{_COMMANDS}.{name}")
    try:
        code: int = module.run(profile, rest)
    except (CommandError, ProfileError, OSError, RuntimeError) as exc:
        return report(as_command_error(exc, f"{name} the node"), as_json="json" in rest)
    return code
