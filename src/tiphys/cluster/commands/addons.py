"""`tiphys addons list | enable NAME | disable NAME`: what a cluster can have beside itself."""

import json
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from tiphys.api.errors import ApiError
from tiphys.cli.arguments import Parser
from tiphys.cli.kubectl.client import KubeClient, Unreachable
from tiphys.cli.kubectl.main import access_of
from tiphys.cli.output import CommandError, report, table
from tiphys.client.kubeconfig import KubeconfigError
from tiphys.cluster.commands import addons_pages
from tiphys.cluster.commands.stop import existing
from tiphys.cluster.dashboard import installation
from tiphys.cluster.profile import Profile
from tiphys.cluster.told import told


class Addon(NamedTuple):
    about: str
    enable: Callable[[KubeClient, Profile], None]
    disable: Callable[[KubeClient], None]
    is_enabled: Callable[[KubeClient], bool]


ADDONS: Final = {
    "dashboard": Addon(
        "the web dashboard; open it: tiphys dashboard",
        installation.enable,
        installation.disable,
        installation.is_enabled,
    ),
}


def run(profile: str, arguments: Sequence[str]) -> int:
    if arguments and arguments[0] in addons_pages.WORDS:
        return addons_pages.run(profile, arguments, list(ADDONS))
    parser = Parser(prog="tiphys addons", description="list, enable, disable, open, images")
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|enable|disable")
    listing = actions.add_parser("list", aliases=["ls"], help="list addons")
    listing.add_argument("-o", "--output", choices=("text", "json"), default="text")
    for word in ("enable", "disable"):
        actions.add_parser(word, help=f"{word} an addon").add_argument("name", choices=ADDONS)
    options = parser.parse_args(arguments)
    as_json = getattr(options, "output", "text") == "json"
    try:
        kube = KubeClient(access_of(profile, {}))
        if options.action == "enable":
            ADDONS[options.name].enable(kube, existing(profile))
            print(f"{options.name}: enabled")
        elif options.action == "disable":
            ADDONS[options.name].disable(kube)
            print(f"{options.name}: disabled")
        else:
            _list(kube, as_json=as_json)
    except (ApiError, CommandError, KubeconfigError, Unreachable) as exc:
        return report(told(exc), as_json=as_json)
    return 0


def _list(kube: KubeClient, *, as_json: bool) -> None:
    found = {name: addon.is_enabled(kube) for name, addon in ADDONS.items()}
    if as_json:
        print(json.dumps([{"name": name, "enabled": on} for name, on in found.items()]))
        return
    rows = [[n, "enabled" if on else "disabled", ADDONS[n].about] for n, on in found.items()]
    print(table(["NAME", "STATUS", "ABOUT"], rows))
