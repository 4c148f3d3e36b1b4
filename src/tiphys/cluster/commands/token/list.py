"""`tiphys token list`: the tokens there are, and until when each is good."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from tiphys.cli.arguments import Parser
from tiphys.cli.output import table
from tiphys.cluster import join_tokens
from tiphys.cluster.commands.token.main import SECRETS, open_cluster

_COLUMNS = ("TOKEN", "TTL", "EXPIRES", "USAGES", "DESCRIPTION", "EXTRA GROUPS")


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys token list", description="show the tokens")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    options = parser.parse_args(arguments)
    _, probe = open_cluster(name)
    now = datetime.now(UTC)  # noqa: TID251 - the command's own clock
    listed = (probe.get(SECRETS) or {}).get("items")
    secrets = listed if isinstance(listed, list) else []
    rows = [join_tokens.row(secret, now) for secret in join_tokens.tokens_in(secrets)]
    if options.output == "json":
        keys = ("token", "ttl", "expires", "usages", "description", "groups")
        print(json.dumps({"items": [dict(zip(keys, r, strict=True)) for r in rows]}, indent=2))
    else:
        print(table(list(_COLUMNS), rows))
    return 0
