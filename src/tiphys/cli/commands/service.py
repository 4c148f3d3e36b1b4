"""`tiphys service NAME [--url]`: the URL at which a Service answers from this machine."""

import argparse
import sys
from collections.abc import Sequence

from tiphys.api.errors import ApiError
from tiphys.api.meta import GroupVersionResource, Obj, at, name_of, namespace_of
from tiphys.cli.kubectl.client import KubeClient, Unreachable, path_of
from tiphys.cli.kubectl.main import access_of, server_error
from tiphys.cli.output import CommandError, report
from tiphys.client.kubeconfig import KubeconfigError

SERVICES = GroupVersionResource("", "v1", "services")
NODES = GroupVersionResource("", "v1", "nodes")
HEADER = ("NAMESPACE", "NAME", "TARGET PORT", "URL")


def run(profile: str, arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="tiphys service", description="the URL of a Service")
    parser.add_argument("name", nargs="?", help="a Service; without one: list all")
    parser.add_argument("-n", "--namespace", default="default")
    parser.add_argument("--url", action="store_true", help="print the URL only")
    options = parser.parse_args(arguments)
    try:
        kube = KubeClient(access_of(profile, {}))
        node = node_address(kube.request("GET", path_of(NODES, "")))
        if options.name is None:
            return _list(kube, node)
        service = kube.request("GET", path_of(SERVICES, options.namespace, options.name))
        found = urls(service, node)
        if not found:
            raise CommandError(
                f"service {options.namespace}/{options.name} has no node port",
                fix="expose it with --type=NodePort or --type=LoadBalancer",
            )
    except ApiError as exc:
        print(server_error(exc), file=sys.stderr)
        return 1
    except (CommandError, KubeconfigError, Unreachable) as exc:
        return report(
            exc if isinstance(exc, CommandError) else CommandError(str(exc)), as_json=False
        )
    if options.url:
        print("\n".join(url for _, url in found))
    else:
        print(box([row(service, port, url) for port, url in found]))
    return 0


def urls(service: Obj, node: str) -> list[tuple[str, str]]:
    """(target port, URL) of every node port."""
    found = []
    for port in at(service, "spec", "ports", default=[]):
        if port.get("nodePort"):
            name = port.get("name") or ""
            label = f"{name}/{port['port']}" if name else str(port["port"])
            found.append((label, f"http://{node}:{port['nodePort']}"))
    return found


def node_address(nodes: Obj) -> str:
    """The first node's address. Raises CommandError."""
    for node in nodes.get("items") or []:
        for address in at(node, "status", "addresses", default=[]):
            if address.get("type") == "InternalIP":
                return str(address["address"])
    raise CommandError("there is no node", fix="start one: tiphys start")


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


def _list(kube: KubeClient, node: str) -> int:
    listed = kube.request("GET", path_of(SERVICES, "")).get("items") or []
    rows = []
    for service in listed:
        found = urls(service, node) or [("", "No node port")]
        rows += [row(service, port, url) for port, url in found]
    print(box(rows))
    return 0
