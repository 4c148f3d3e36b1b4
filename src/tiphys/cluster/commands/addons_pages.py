"""`tiphys addons open NAME` and `tiphys addons images NAME`: an addon's page, and what it runs."""

from collections.abc import Mapping, Sequence
from typing import Final

from tiphys.api.meta import GroupVersionResource, Obj, at
from tiphys.cli.arguments import Parser
from tiphys.cli.kubectl.client import KubeClient, path_of
from tiphys.cli.kubectl.main import access_of
from tiphys.cli.output import CommandError, table
from tiphys.cluster.dashboard import manifests

WORDS: Final = ("open", "images")
PODS: Final = GroupVersionResource("", "v1", "pods")
# Addons whose parts are pods, and their namespaces; the others are processes of ours.
NAMESPACES: Final[Mapping[str, str]] = {"dashboard": manifests.NAMESPACE}


def run(profile: str, arguments: Sequence[str], known: Sequence[str]) -> int:
    """known: every addon there is. Raises ApiError, CommandError, Unreachable."""
    parser = Parser(prog=f"tiphys addons {arguments[0]}", description="an addon's page or images")
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--url", action="store_true", help="print the address, open nothing")
    options = parser.parse_args(arguments[1:])
    if options.name not in known:
        raise CommandError(
            f'there is no addon "{options.name}"',
            fix=f"addons: {', '.join(known)}",
            reason="ADDON_NOT_FOUND",
        )
    if arguments[0] == "open":
        return _open(profile, options.name, url=options.url)
    return _images(profile, options.name)


def _open(profile: str, name: str, *, url: bool) -> int:
    if name != "dashboard":
        raise CommandError(
            f"the addon {name} has no page", fix="tiphys addons list", reason="ADDON_NOT_FOUND"
        )
    from tiphys.cluster.commands import dashboard

    return dashboard.run(profile, ["--url"] if url else [])


def _images(profile: str, name: str) -> int:
    if name not in NAMESPACES:
        print(f"{name} has no image: it is a process of tiphys")
        return 0
    kube = KubeClient(access_of(profile, {}))
    pods = kube.request("GET", path_of(PODS, NAMESPACES[name])).get("items") or []
    found = images(pods)
    print(table(["CONTAINER", "IMAGE"], found) if found else f"{name} is not enabled")
    return 0


def images(pods: Sequence[Obj]) -> list[list[str]]:
    """[container, image], each pair once. Pure."""
    found = {
        (container["name"], container["image"])
        for pod in pods
        for container in at(pod, "spec", "containers", default=[])
    }
    return [list(pair) for pair in sorted(found)]
