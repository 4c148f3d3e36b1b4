"""`tiphys service NAME [--url] | list`: the URL at which a Service answers from this machine.

Words, flags, columns and the JSON of the list are minikube's.
"""

import argparse
import json
from collections.abc import Sequence

from tiphys.api.errors import ApiError
from tiphys.api.meta import GroupVersionResource, Obj, at, name_of, namespace_of
from tiphys.cli.arguments import Parser
from tiphys.cli.kubectl.client import KubeClient, path_of
from tiphys.cli.kubectl.main import access_of
from tiphys.cli.output import CommandError

SERVICES = GroupVersionResource("", "v1", "services")
NODES = GroupVersionResource("", "v1", "nodes")
HEADER = ("NAMESPACE", "NAME", "TARGET PORT", "URL")


def run(profile: str, arguments: Sequence[str]) -> int:
    """Raises ApiError, CommandError, KubeconfigError, Unreachable."""
    options = _parser().parse_args(arguments)
    kube = KubeClient(access_of(profile, {}))
    node = node_address(kube.request("GET", path_of(NODES, "")))
    if options.name == "list" or (options.name is None and not options.all):
        return _list(kube, node, options)
    services = _all(kube, options) if options.all else [_one(kube, options)]
    scheme = "https" if options.https else "http"
    rows = [row(s, port, url) for s in services for port, url in urls(s, node, scheme)]
    if not rows:
        raise CommandError(
            f"service {options.namespace}/{options.name} has no node port"
            if options.name
            else f"no service in {options.namespace} has a node port",
            fix="expose it with --type=NodePort or --type=LoadBalancer",
            reason="SERVICE_NO_PORT",
        )
    print("\n".join(url for *_, url in rows) if options.url else box(rows))
    return 0


def _parser() -> Parser:
    parser = Parser(prog="tiphys service", description="the URL of a Service")
    parser.add_argument("name", nargs="?", help="a Service; `list` or nothing: a table of all")
    parser.add_argument("-n", "--namespace", default="", help="default: default; list: all")
    parser.add_argument("--url", action="store_true", help="print the URL only")
    parser.add_argument("--https", action="store_true", help="URLs begin with https")
    parser.add_argument("--all", action="store_true", help="every Service of the namespace")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    return parser


def _one(kube: KubeClient, options: argparse.Namespace) -> Obj:
    options.namespace = options.namespace or "default"
    try:
        return kube.request("GET", path_of(SERVICES, options.namespace, options.name))
    except ApiError as exc:
        if exc.code != 404:
            raise
        raise CommandError(
            f"there is no service {options.namespace}/{options.name}", reason="SERVICE_NOT_FOUND"
        ) from exc


def _all(kube: KubeClient, options: argparse.Namespace) -> list[Obj]:
    options.namespace = options.namespace or "default"
    found = kube.request("GET", path_of(SERVICES, options.namespace)).get("items")
    return list(found or [])


def urls(service: Obj, node: str, scheme: str = "http") -> list[tuple[str, str]]:
    """(target port, URL) of every node port."""
    found = []
    for port in at(service, "spec", "ports", default=[]):
        if port.get("nodePort"):
            name = port.get("name") or ""
            label = f"{name}/{port['port']}" if name else str(port["port"])
            found.append((label, f"{scheme}://{node}:{port['nodePort']}"))
    return found


def node_address(nodes: Obj) -> str:
    """The first node's address. Raises CommandError."""
    for node in nodes.get("items") or []:
        for address in at(node, "status", "addresses", default=[]):
            if address.get("type") == "InternalIP":
                return str(address["address"])
    raise CommandError("there is no node", fix="start one: tiphys start", reason="PROFILE_NO_NODES")


def row(service: Obj, port: str, url: str) -> tuple[str, str, str, str]:
    return (namespace_of(service), name_of(service), port, url)


def box(rows: Sequence[tuple[str, str, str, str]]) -> str:
    """The table of `minikube service`: header centred, cells to the left."""
    widths = [max(len(r[i]) for r in (HEADER, *rows)) for i in range(len(HEADER))]
    rule = "|" + "|".join("-" * (w + 2) for w in widths) + "|"
    header = "| " + " | ".join(h.center(w) for h, w in zip(HEADER, widths, strict=True)) + " |"
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)) + " |" for r in rows
    ]
    return "\n".join([rule, header, rule, *lines, rule])


def _list(kube: KubeClient, node: str, options: argparse.Namespace) -> int:
    listed = kube.request("GET", path_of(SERVICES, options.namespace)).get("items") or []
    if options.output == "json":
        entries = [
            {
                "Namespace": namespace_of(s),
                "Name": name_of(s),
                "PortNames": [port for port, _ in urls(s, node)],
                "URLs": [url for _, url in urls(s, node)],
            }
            for s in listed
        ]
        print(json.dumps(entries))
        return 0
    rows = []
    for service in listed:
        found = urls(service, node) or [("", "No node port")]
        rows += [row(service, port, url) for port, url in found]
    print(box(rows))
    return 0
