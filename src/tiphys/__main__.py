"""`tiphys`: finds the command's module and runs it. Imports nothing that the command does not need.

`-p/--profile` stands before the command or after it; everything after `kubectl` is kubectl's.
"""

import json
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

# Command -> (module with `run(profile, arguments) -> int`, one line of help).
COMMANDS: Final = {
    "start": ("tiphys.cluster.commands.start", "start a cluster, or say that it runs"),
    "status": ("tiphys.cluster.commands.status", "show what runs"),
    "pause": ("tiphys.cluster.commands.pause", "freeze containers and the control plane"),
    "unpause": ("tiphys.cluster.commands.unpause", "let go on what was frozen"),
    "stop": ("tiphys.cluster.commands.stop", "stop a cluster and keep its state"),
    "delete": ("tiphys.cluster.commands.delete", "remove every trace of a cluster"),
    "node": ("tiphys.cluster.commands.node.main", "list, add, stop, drain ... the machines"),
    "join": ("tiphys.cluster.commands.join", "make this machine a node of another's cluster"),
    "token": ("tiphys.cluster.commands.token.main", "what other machines join with"),
    "doctor": ("tiphys.cluster.commands.doctor", "find what is wrong, and say what to do"),
    "net": ("tiphys.cluster.commands.net.main", "doctor, trace, diff: look into the network"),
    "ssh": ("tiphys.cluster.commands.ssh", "a shell on a machine, or one command"),
    "shell": ("tiphys.cluster.commands.ssh", "the same"),
    "cp": ("tiphys.cluster.commands.cp", "copy a file to or from a machine"),
    "mount": ("tiphys.cluster.commands.mount", "show a directory to a machine"),
    "ip": ("tiphys.cluster.commands.ip", "print the address of a machine"),
    "update-context": ("tiphys.cluster.commands.update_context", "point the kubeconfig here"),
    "kubectl": ("tiphys.cli.kubectl.main", "talk to the cluster in kubectl's words"),
    "service": ("tiphys.cli.commands.service", "print the URL of a Service, or list all"),
    "tunnel": ("tiphys.cluster.commands.tunnel", "reach LoadBalancer Services from here"),
    "namespace": (
        "tiphys.cluster.commands.namespace.main",
        "make a place for a team: quota, rights, credentials",
    ),
    "image": (
        "tiphys.cluster.commands.image.main",
        "build, list, pull, push, load, save ... images",
    ),
    "container": (
        "tiphys.cluster.commands.container.main",
        "show what a container is: a process with sandboxing",
    ),
    "run": ("tiphys.cluster.commands.run", "run a Python program: Deployment, Service, URL"),
    "addons": ("tiphys.cluster.commands.addons", "list, enable or disable dashboard and ingress"),
    "dashboard": ("tiphys.cluster.commands.dashboard", "open the web dashboard"),
    "logs": ("tiphys.cluster.commands.logs", "show a component's log"),
    "learn": ("tiphys.cluster.commands.learn", "learn Kubernetes, command by command"),
    "store": ("tiphys.cluster.commands.store.main", "back up, restore or migrate all objects"),
    "metrics": ("tiphys.cluster.commands.metrics", "print a Prometheus configuration"),
    "profile": ("tiphys.cluster.commands.profile.main", "list the profiles, choose one"),
    "config": ("tiphys.cluster.commands.config.main", "what new clusters begin with"),
    "completion": ("tiphys.cluster.commands.completion", "complete words in bash, zsh or fish"),
    "version": ("tiphys.cluster.commands.version", "print the version"),
}
DEFAULT_PROFILE: Final = "tiphys"


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0 done, 1 could not, 2 not understood."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return dispatch(arguments)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader has gone (`tiphys logs | head`): what is left is not wanted.
        sys.stderr.close()
        return 141


def dispatch(arguments: list[str]) -> int:
    profile, arguments = take_profile(arguments, until_command=True)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        return 0
    name, rest = arguments[0], arguments[1:]
    if name == "--version":
        name = "version"
    if name == "__complete":
        from tiphys.cluster.commands import completion

        return completion.complete(meant(profile), rest)
    if name not in COMMANDS:
        return _unknown(name)
    if name != "kubectl":
        after, rest = take_profile(rest, until_command=False)
        profile = after if after is not None else profile
    return run_command(name, meant(profile), rest)


def meant(said: str | None) -> str:
    """The profile: what was said, else what `tiphys profile use` has chosen, else the usual one."""
    if said is not None:
        return said
    from tiphys.cli.state_directory import state_directory

    try:
        chosen = json.loads((state_directory() / "config.json").read_text())["profile"]
    except (OSError, ValueError, KeyError, TypeError):
        return DEFAULT_PROFILE  # Nothing was chosen; `tiphys config` tells of a damaged file.
    return str(chosen)


def run_command(name: str, profile: str, arguments: list[str]) -> int:
    """The command's exit code, or that of the error it ended with, which is told."""
    module = import_module(COMMANDS[name][0])
    try:
        code: int = module.run(profile, arguments)
    except BrokenPipeError:
        raise  # The reader has gone: nothing is wrong.
    except Exception as exc:  # Whatever it was, the user is told as of any other error.
        from tiphys.cli.output import report, wants_json
        from tiphys.cluster.told import is_foreseen, told

        if not is_foreseen(exc):
            raise
        return report(told(exc, f"{name} {profile}"), as_json=wants_json(arguments))
    return code


def _unknown(name: str) -> int:
    from tiphys.cli.output import CommandError, report

    error = f'unknown command "{name}" for "tiphys"'
    fix = "Run 'tiphys --help' for usage."
    return report(CommandError(error, fix=fix, reason="USAGE"), as_json=False)


def take_profile(arguments: list[str], *, until_command: bool) -> tuple[str | None, list[str]]:
    """Take -p/--profile out of arguments; before the command only what stands before it."""
    profile: str | None = None
    rest: list[str] = []
    index = 0
    while index < len(arguments):
        word = arguments[index]
        if word in ("-p", "--profile") and index + 1 < len(arguments):
            profile = arguments[index + 1]
            index += 2
        elif word.startswith("--profile="):
            profile = word.removeprefix("--profile=")
            index += 1
        elif word == "--" or (until_command and not word.startswith("-")):
            return profile, rest + arguments[index:]
        else:
            rest.append(word)
            index += 1
    return profile, rest


def usage() -> str:
    width = max(len(name) for name in COMMANDS)
    lines = [f"  {name.ljust(width)}  {text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(
        [
            "Kubernetes, written in Python.",
            "",
            "Usage: tiphys [-p PROFILE] COMMAND [ARGUMENTS]",
            "",
            "Commands:",
            *lines,
            "",
            "Options:",
            "  -p, --profile NAME  which cluster (default: tiphys)",
            "      --version       the version of tiphys and of the Kubernetes API it serves",
            "",
            'Run "tiphys COMMAND --help" for a command\'s own options.',
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
