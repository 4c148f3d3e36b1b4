"""`tiphys token delete TOKEN...`: from now on nobody joins with them; nodes stay."""

from collections.abc import Sequence

from tiphys.api import bootstrap_token
from tiphys.cli.arguments import Parser
from tiphys.cli.output import CommandError
from tiphys.cluster import join_tokens
from tiphys.cluster.commands.token.main import SECRETS, open_cluster


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys token delete", description="take tokens away")
    parser.add_argument("tokens", nargs="+", metavar="TOKEN", help="whole, or its first part")
    options = parser.parse_args(arguments)
    _, probe = open_cluster(name)
    for text in options.tokens:
        token_id = text.partition(".")[0]
        if bootstrap_token.split(f"{token_id}.{'0' * 16}") is None:
            raise CommandError(
                f'"{text}" is not a token',
                fix="tiphys token list shows them",
                reason="TOKEN_INVALID",
            )
        path = f"{SECRETS}/{join_tokens.name_of(token_id)}"
        if probe.get(path) is None:
            raise CommandError(
                f'there is no token "{token_id}"', fix="tiphys token list", reason="TOKEN_NOT_FOUND"
            )
        probe.delete(path)
        print(f'bootstrap token "{token_id}" deleted')
    return 0
