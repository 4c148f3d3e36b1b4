"""`tiphys store COMMAND`: finds the command's module."""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from tiphys.cli.output import CommandError, report
from tiphys.cluster.commands.stop import as_command_error
from tiphys.cluster.profile import ProfileError
from tiphys.storage.backend import StorageError

_COMMANDS: Final = "tiphys.cluster.commands.store"
COMMANDS: Final = {
    "backup": "write all objects into a file; the cluster may run",
    "restore": "make a stopped cluster hold what such a file holds",
    "migrate": "copy a stopped cluster's store into another kind of store",
}


def run(profile: str, arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print("Usage: tiphys store COMMAND [ARGUMENTS]\n\nCommands:")
        print("\n".join(f"  {name:9}{text}" for name, text in COMMANDS.items()))
        return 0
    name, rest = arguments[0], list(arguments[1:])
    if name not in COMMANDS:
        print(f'Error: unknown command "{name}" for "tiphys store"', file=sys.stderr)
        print("Run 'tiphys store --help' for usage.", file=sys.stderr)
        return 2
    module = import_module(f"{_COMMANDS}.{name}")
    try:
        code: int = module.run(profile, rest)
    except StorageError as exc:
        return report(CommandError(f"cannot {name} the store: {exc}"), as_json="json" in rest)
    except (CommandError, ProfileError, OSError, RuntimeError) as exc:
        return report(as_command_error(exc, f"{name} the store"), as_json="json" in rest)
    return code
