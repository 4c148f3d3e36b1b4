"""`tiphys addons list | enable NAME | disable NAME`: what a cluster can have beside itself."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from tiphys.api.errors import ApiError
from tiphys.cli.arguments import Parser
from tiphys.cli.kubectl.client import KubeClient, Unreachable
from tiphys.cli.kubectl.main import access_of
from tiphys.cli.output import CommandError, report, table
from tiphys.client.kubeconfig import KubeconfigError
from tiphys.cluster import load_balancer_addon
from tiphys.cluster.commands import addons_pages
from tiphys.cluster.commands.stop import existing
from tiphys.cluster.dashboard import installation as dashboard
from tiphys.cluster.ingress import installation as ingress
from tiphys.cluster.profile import Profile
from tiphys.cluster.told import told

Kube = Callable[[], KubeClient]


class Addon(NamedTuple):
    """kube is asked for only by those who need a cluster that runs."""

    about: str
    enable: Callable[[Kube, Profile, Mapping[str, str]], None]
    disable: Callable[[Kube, Profile], None]
    is_enabled: Callable[[Kube, Profile], bool]


ADDONS: Final = {
    "dashboard": Addon(
        "the web dashboard; open it: tiphys dashboard",
        lambda kube, profile, settings: _without(
            settings, lambda: dashboard.enable(kube(), profile)
        ),
        lambda kube, _: dashboard.disable(kube()),
        lambda kube, _: dashboard.is_enabled(kube()),
    ),
    "ingress": Addon(
        "serves Ingresses of class nginx on ports 80 and 443 of `tiphys ip`",
        lambda kube, profile, settings: ingress.enable(kube(), profile, settings),
        lambda kube, profile: ingress.disable(kube(), profile),
        lambda _, profile: ingress.is_enabled(profile),
    ),
    "load-balancer": Addon(
        "addresses for Services of type LoadBalancer",
        lambda _, profile, settings: _without(
            settings, lambda: load_balancer_addon.switch(profile, on=True)
        ),
        lambda _, profile: load_balancer_addon.switch(profile, on=False),
        lambda _, profile: profile.load_balancer,
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
        action = actions.add_parser(word, help=f"{word} an addon")
        action.add_argument("name", choices=ADDONS)
        if word == "enable":
            text = "a setting of the addon, for example data-plane=nginx of ingress"
            action.add_argument(
                "--set", action="append", default=[], metavar="NAME=VALUE", help=text
            )
    options = parser.parse_args(arguments)
    as_json = getattr(options, "output", "text") == "json"
    try:
        found = existing(profile)

        def kube() -> KubeClient:
            return KubeClient(access_of(profile, {}))

        if options.action == "enable":
            ADDONS[options.name].enable(kube, found, _settings(options.set))
            print(f"{options.name}: enabled")
        elif options.action == "disable":
            ADDONS[options.name].disable(kube, found)
            print(f"{options.name}: disabled")
        else:
            _list(kube, found, as_json=as_json)
    except (ApiError, CommandError, KubeconfigError, Unreachable) as exc:
        return report(told(exc), as_json=as_json)
    return 0


def _settings(words: Sequence[str]) -> dict[str, str]:
    """Raises CommandError."""
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise CommandError(
                f'"{word}" is no setting', fix="write --set NAME=VALUE", reason="BAD_VALUE"
            )
        found[name] = value
    return found


def _without(settings: Mapping[str, str], enable: Callable[[], object]) -> None:
    """Of an addon that has no settings. Raises CommandError."""
    if settings:
        raise CommandError("this addon has no settings", fix="leave --set out", reason="BAD_VALUE")
    enable()


def _list(kube: Kube, profile: Profile, *, as_json: bool) -> None:
    found = {name: addon.is_enabled(kube, profile) for name, addon in ADDONS.items()}
    if as_json:
        print(json.dumps([{"name": name, "enabled": on} for name, on in found.items()]))
        return
    rows = [[n, "enabled" if on else "disabled", ADDONS[n].about] for n, on in found.items()]
    print(table(["NAME", "STATUS", "ABOUT"], rows))
