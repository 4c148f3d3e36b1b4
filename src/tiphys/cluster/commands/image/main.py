"""`tiphys image COMMAND`: finds the command's module."""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from tiphys.cli.output import CommandError, report
from tiphys.cluster.commands.stop import as_command_error
from tiphys.cluster.profile import ProfileError

_COMMANDS: Final = "tiphys.cluster.commands.image"
COMMANDS: Final = {
    "build": "build an image from a Dockerfile",
    "history": "show the steps an image was made of",
    "load": "load an archive or a layout of images",
    "ls": "list images",
    "prune": "remove layers that no image has",
    "pull": "fetch an image from its registry, for every node",
    "push": "send an image to the registry of its name",
    "rm": "remove images",
    "save": "write images to an archive",
    "tag": "give an image another name",
    "tree": "draw which image is forked from which",
}
ALIASES: Final = {"list": "ls", "rmi": "rm", "remove": "rm"}


def run(profile: str, arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print("Usage: tiphys image COMMAND [ARGUMENTS]\n\nCommands:")
        print("\n".join(f"  {name:9}{text}" for name, text in COMMANDS.items()))
        return 0
    name, rest = ALIASES.get(arguments[0], arguments[0]), list(arguments[1:])
    if name not in COMMANDS:
        print(f'Error: unknown command "{name}" for "tiphys image"', file=sys.stderr)
        print("Run 'tiphys image --help' for usage.", file=sys.stderr)
        return 2
    module = import_module(f"{_COMMANDS}.{name}")
    try:
        code: int = module.run(profile, rest)
    except BrokenPipeError:
        raise  # The reader has gone: nothing is wrong.
    except (CommandError, ProfileError, OSError, RuntimeError) as exc:
        return report(as_command_error(exc, f"{name} the image"), as_json="json" in rest)
    return code
