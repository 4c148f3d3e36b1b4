"""`tiphys kubectl COMMAND`: finds the command's module, its server and its namespace."""

import re
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Final

from tiphys.api.errors import ApiError
from tiphys.cli import reasons
from tiphys.cli.kubectl.client import KubeClient, Unreachable
from tiphys.cli.output import CommandError
from tiphys.cli.state_directory import state_directory
from tiphys.client import kubeconfig

_COMMANDS: Final = "tiphys.cli.kubectl.commands"
COMMANDS: Final = (
    "apply",
    "cordon",
    "create",
    "delete",
    "drain",
    "exec",
    "expose",
    "get",
    "logs",
    "scale",
    "uncordon",
    "version",
)
_WITH_VALUE: Final = ("-n", "--namespace", "--kubeconfig", "--context")


def run(profile: str, arguments: Sequence[str]) -> int:
    """The exit code, as kubectl's: 1 for every error."""
    try:
        options, rest = split_globals(arguments)
        if not rest or rest[0] in ("-h", "--help", "help"):
            print(f"Commands: {', '.join(COMMANDS)}\nThe other commands of kubectl come later.")
            return 0
        if rest[0] not in COMMANDS:
            raise CommandError(
                f'unknown command "{rest[0]}" for "kubectl"',
                fix=f"here so far: {', '.join(COMMANDS)}; install kubectl for the others",
            )
        kube = KubeClient(access_of(profile, options))
        kube.namespace = options.get("namespace") or kube.namespace
        module = import_module(f"{_COMMANDS}.{rest[0]}")
        code: int = module.run(kube, rest[1:])
        return code
    except ApiError as exc:
        print(server_error(exc), file=sys.stderr)
    except (Unreachable, kubeconfig.KubeconfigError) as exc:
        print(exc, file=sys.stderr)
    except CommandError as exc:
        print(f"error: {exc.message}", file=sys.stderr)
        if exc.fix:
            print(f"  {exc.fix}", file=sys.stderr)
        # An error of tiphys itself (no such profile) is kubectl's 1 here.
        return exc.code if exc.reason is reasons.FAILED else 1
    return 1


def server_error(exc: ApiError) -> str:
    """`Error from server (NotFound): pods "x" not found`."""
    if exc.reason == "Invalid":
        return f"The {exc.message}"
    reason = f" ({exc.reason})" if exc.reason else ""
    return f"Error from server{reason}: {exc.message}"


def split_globals(arguments: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Flags that every command takes, before or after it; nothing after `--` is touched."""
    options: dict[str, str] = {}
    rest: list[str] = []
    index = 0
    while index < len(arguments):
        word = arguments[index]
        if word == "--":
            return options, rest + list(arguments[index:])
        name, equals, value = word.partition("=")
        key = "namespace" if name in ("-n", "--namespace") else name.lstrip("-")
        if name in _WITH_VALUE and equals:
            options[key] = value
        elif word in _WITH_VALUE:
            if index + 1 >= len(arguments):
                raise CommandError(f"flag needs an argument: {word}")
            index += 1
            options[key] = arguments[index]
        elif word.startswith("-n") and not word.startswith("--") and len(word) > 2:
            options["namespace"] = word[2:]
        else:
            rest.append(word)
        index += 1
    return options, rest


def access_of(profile: str, options: dict[str, str]) -> kubeconfig.Access:
    """The profile's administrator, or what --kubeconfig names."""
    if path := options.get("kubeconfig"):
        return kubeconfig.load(Path(path), options.get("context"))
    if options.get("context"):
        raise CommandError(
            "--context needs --kubeconfig: without it the profile's own cluster is meant",
            fix="name the file too: --kubeconfig FILE --context NAME",
        )
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", profile):
        raise CommandError(f'"{profile}" is not a profile\'s name', reason="PROFILE_NAME")
    state = state_directory()
    own = state / profile / "kubeconfigs" / "admin.conf"
    if own.exists():
        return kubeconfig.load(own)
    raise CommandError(
        f'there is no cluster of profile "{profile}"',
        fix=f"start one: tiphys start -p {profile}",
        reason="PROFILE_NOT_FOUND",
    )
