"""`tiphys ssh [-n NODE] [--] [COMMAND...]`: a shell on a machine, or one command. minikube's words.

No daemon and no key: the machine is namespaces of this one, which root enters.
"""

from collections.abc import Sequence

from tiphys.cli.output import CommandError
from tiphys.cluster.commands.node import shell


def run(name: str, arguments: Sequence[str]) -> int:
    node, command = parse(arguments)
    return shell.run(name, [node, "--", *command] if node else ["--", *command])


def parse(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """(node, command); the command begins with the first plain word. Raises CommandError."""
    words, node = list(arguments), ""
    while words and words[0].startswith("-") and words[0] != "--":
        word = words.pop(0)
        if word in ("-h", "--help"):
            print(f"usage: tiphys ssh [-n NODE] [--] [COMMAND...]\n\n{__doc__}")
            raise SystemExit(0)
        if word in ("-n", "--node") and words:
            node = words.pop(0)
        elif word.startswith("--node="):
            node = word.removeprefix("--node=")
        elif word not in ("--native-ssh", "--native-ssh=false"):  # There is no other way here.
            raise CommandError(
                f"tiphys ssh: unknown flag {word}", fix="see tiphys ssh --help", reason="USAGE"
            )
    return node, words[1:] if words[:1] == ["--"] else words
