"""`tiphys config defaults [NAME]`: which settings there are, and what each may be."""

import json
from collections.abc import Sequence
from typing import Final

from tiphys.cli.arguments import Parser
from tiphys.cli.output import table
from tiphys.cluster import settings

# (without a setting, what it may be)
DEFAULTS: Final = {
    "control-planes": ("0", "a number; 0: on the host, beside the nodes"),
    "cpus": ("no-limit", "a number, max, no-limit"),
    "keep-context": ("false", "true, false"),
    "memory": ("no-limit", "2048, 2048mb, 2g, max, no-limit"),
    "nodes": ("1", "a number; 0: a control plane alone"),
    "overlay": ("auto", "auto, vxlan, host-gw"),
    "profile": ("tiphys", "a name"),
    "proxy-mode": ("nftables", "nftables, iptables, userspace"),
    "wait": ("apiserver", "parts as in `tiphys start --wait`, all, none"),
    "wait-timeout": ("120", "a duration: 90, 90s, 2m"),
}


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys config defaults", description="which settings there are")
    parser.add_argument("name", nargs="?", metavar="NAME")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    options = parser.parse_args(arguments)
    if options.name is not None:
        settings.check_name(options.name)
    found = {k: v for k, v in DEFAULTS.items() if options.name in (None, k)}
    if options.output == "json":
        print(json.dumps({key: default for key, (default, _) in found.items()}))
    else:
        rows = [[key, default, values] for key, (default, values) in found.items()]
        print(table(["NAME", "DEFAULT", "VALUES"], rows))
    return 0
