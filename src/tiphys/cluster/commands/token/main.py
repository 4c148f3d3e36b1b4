"""`tiphys token COMMAND`: finds the command's module. Words and flags are kubeadm's."""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from tiphys.cli.output import CommandError, report
from tiphys.cluster.commands.stop import as_command_error, existing
from tiphys.cluster.profile import Profile, ProfileError
from tiphys.cluster.readiness import NotReady, Probe

_COMMANDS: Final = "tiphys.cluster.commands.token"
COMMANDS: Final = {
    "create": "make a token with which a machine can join",
    "list": "show the tokens there are",
    "delete": "take tokens away",
}
SECRETS: Final = "/api/v1/namespaces/kube-system/secrets"


def run(profile: str, arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print("Usage: tiphys token COMMAND [ARGUMENTS]\n\nCommands:")
        print("\n".join(f"  {name:8}{text}" for name, text in COMMANDS.items()))
        return 0
    name, rest = arguments[0], list(arguments[1:])
    if name not in COMMANDS:
        print(f'Error: unknown command "{name}" for "tiphys token"', file=sys.stderr)
        print("Run 'tiphys token --help' for usage.", file=sys.stderr)
        return 2
    try:
        code: int = import_module(f"{_COMMANDS}.{name}").run(profile, rest)
    except (CommandError, ProfileError, OSError, NotReady) as exc:
        return report(as_command_error(exc, f"{name} the token"), as_json="json" in rest)
    return code


def open_cluster(name: str) -> tuple[Profile, Probe]:
    """A cluster that other machines can join. Raises CommandError."""
    profile = existing(name)
    if profile.is_joined:
        raise CommandError(
            f'profile "{name}" is a node of another machine\'s cluster',
            fix=f"make tokens there ({profile.server})",
        )
    if not profile.listen:
        raise CommandError(
            f'profile "{name}" is for this machine alone: nobody can join it',
            fix="start one that others reach: tiphys start -p NAME --listen ADDRESS",
        )
    probe = Probe.at_once(profile)
    if not probe.api_is_ready():
        raise CommandError(f'profile "{name}" does not answer', fix=f"tiphys start -p {name}")
    return profile, probe
