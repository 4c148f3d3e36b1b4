"""`tiphys completion bash|zsh|fish`: a script that completes commands, flags and names."""

from collections.abc import Sequence

from tiphys.cli.arguments import Parser
from tiphys.cluster import completion


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(
        prog="tiphys completion", description="source <(tiphys completion bash) in ~/.bashrc"
    )
    parser.add_argument("shell", choices=completion.SHELLS)
    print(completion.SCRIPTS[parser.parse_args(arguments).shell], end="")
    return 0


def complete(profile: str, words: Sequence[str]) -> int:
    """`tiphys __complete WORDS...`, which the scripts call."""
    from tiphys.__main__ import COMMANDS

    for candidate in completion.candidates(COMMANDS, words, profile):
        print(candidate)
    return 0
