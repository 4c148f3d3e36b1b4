"""`tiphys config view`: every setting, as minikube prints them."""

import json
import os
from collections.abc import Sequence

from tiphys.cli.arguments import Parser
from tiphys.cluster import settings
from tiphys.cluster.profile import Roots


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys config view", description="print all settings")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    options = parser.parse_args(arguments)
    found = settings.load(Roots.from_environment(os.environ))
    if options.output == "json":
        print(json.dumps(found))
    else:
        for key, value in found.items():
            print(f"- {key}: {settings.shown(value)}")
    return 0
