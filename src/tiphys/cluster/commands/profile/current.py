"""`tiphys profile current`: the profile that commands mean."""

import json
from collections.abc import Sequence

from tiphys.cli.arguments import Parser


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys profile current", description="the profile that is meant")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    options = parser.parse_args(arguments)
    print(json.dumps({"profile": name}) if options.output == "json" else name)
    return 0
