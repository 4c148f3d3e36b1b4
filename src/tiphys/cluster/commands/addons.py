"""`tiphys addons list | enable NAME | disable NAME`: what a cluster can have beside itself."""

import argparse
import json
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from tiphys.api.errors import ApiError
from tiphys.cli.kubectl.client import KubeClient, Unreachable
from tiphys.cli.kubectl.main import access_of
from tiphys.cli.output import CommandError, report, table
from tiphys.client.kubeconfig import KubeconfigError
from tiphys.cluster import load_balancer_addon
from tiphys.cluster.commands.stop import existing
from tiphys.cluster.dashboard import installation
from tiphys.cluster.profile import Profile, ProfileError

Kube = Callable[[], KubeClient]


class Addon(NamedTuple):
    """kube is asked for only by those who need a cluster that runs."""

    about: str
    enable: Callable[[Kube, Profile], None]
    disable: Callable[[Kube, Profile], None]
    is_enabled: Callable[[Kube, Profile], bool]


ADDONS: Final = {
    "dashboard": Addon(
        "the web dashboard; open it: tiphys dashboard",
        lambda kube, profile: installation.enable(kube(), profile),
        lambda kube, _: installation.disable(kube()),
        lambda kube, _: installation.is_enabled(kube()),
    ),
    "load-balancer": Addon(
        "addresses for Services of type LoadBalancer",
        lambda _, profile: load_balancer_addon.switch(profile, on=True),
        lambda _, profile: load_balancer_addon.switch(profile, on=False),
        lambda _, profile: profile.load_balancer,
    ),
}


def run(profile: str, arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="tiphys addons", description="list, enable, disable")
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|enable|disable")
    listing = actions.add_parser("list", aliases=["ls"], help="list addons")
    listing.add_argument("-o", "--output", choices=("text", "json"), default="text")
    for word in ("enable", "disable"):
        actions.add_parser(word, help=f"{word} an addon").add_argument("name", choices=ADDONS)
    options = parser.parse_args(arguments)
    as_json = getattr(options, "output", "text") == "json"
    try:
        found = existing(profile)

        def kube() -> KubeClient:
            return KubeClient(access_of(profile, {}))

        if options.action == "enable":
            ADDONS[options.name].enable(kube, found)
            print(f"{options.name}: enabled")
        elif options.action == "disable":
            ADDONS[options.name].disable(kube, found)
            print(f"{options.name}: disabled")
        else:
            _list(kube, found, as_json=as_json)
    except ApiError as exc:
        return report(CommandError(f"the API server says: {exc}"), as_json=as_json)
    except (CommandError, KubeconfigError, ProfileError, Unreachable) as exc:
        error = exc if isinstance(exc, CommandError) else CommandError(str(exc))
        return report(error, as_json=as_json)
    return 0


def _list(kube: Kube, profile: Profile, *, as_json: bool) -> None:
    found = {name: addon.is_enabled(kube, profile) for name, addon in ADDONS.items()}
    if as_json:
        print(json.dumps([{"name": name, "enabled": on} for name, on in found.items()]))
        return
    rows = [[n, "enabled" if on else "disabled", ADDONS[n].about] for n, on in found.items()]
    print(table(["NAME", "STATUS", "ABOUT"], rows))
