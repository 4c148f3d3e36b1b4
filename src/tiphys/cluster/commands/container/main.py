"""`tiphys container COMMAND`: finds the command's module."""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from tiphys.cli.output import CommandError, report
from tiphys.cluster.commands.stop import as_command_error
from tiphys.cluster.profile import ProfileError

_COMMANDS: Final = "tiphys.cluster.commands.container"
COMMANDS: Final = {
    "list": "every container with its process, namespaces, rights",
    "inspect": "all that makes one container, and what a VM would have besides",
}
ALIASES: Final = {"ls": "list"}


def run(profile: str, arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print("A container is a process on a host with additional sandboxing.\n")
        print("Usage: tiphys container COMMAND [ARGUMENTS]\n\nCommands:")
        print("\n".join(f"  {name:9}{text}" for name, text in COMMANDS.items()))
        return 0
    name, rest = ALIASES.get(arguments[0], arguments[0]), list(arguments[1:])
    if name not in COMMANDS:
        print(f'Error: unknown command "{name}" for "tiphys container"', file=sys.stderr)
        print("Run 'tiphys container --help' for usage.", file=sys.stderr)
        return 2
    module = import_module(f"{_COMMANDS}.{name}")
    try:
        code: int = module.run(profile, rest)
    except BrokenPipeError:
        raise  # The reader has gone: nothing is wrong.
    except (CommandError, ProfileError, OSError, RuntimeError) as exc:
        return report(as_command_error(exc, f"{name} containers"), as_json="json" in rest)
    return code
