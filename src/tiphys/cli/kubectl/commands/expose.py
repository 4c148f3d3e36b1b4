"""`kubectl expose TYPE NAME --port=N`: a Service for the pods of an object."""

import argparse
from collections.abc import Sequence

from tiphys.api.meta import GroupVersionResource, Obj, at, labels_of
from tiphys.cli.kubectl.client import KubeClient, path_of
from tiphys.cli.kubectl.resource_args import targets
from tiphys.cli.output import CommandError

SERVICES = GroupVersionResource("", "v1", "services")
EXPOSABLE = ("pods", "services", "replicationcontrollers", "deployments", "replicasets")


def run(kube: KubeClient, arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="kubectl expose")
    parser.add_argument("resources", nargs="+")
    parser.add_argument("--port", default="")
    parser.add_argument("--target-port", default="")
    parser.add_argument("--name", default="")
    parser.add_argument("--type", default="ClusterIP")
    parser.add_argument("--protocol", default="")
    options = parser.parse_args(arguments)
    for target in targets(kube, options.resources):
        if not target.name:
            raise CommandError("resource(s) were provided, but no name was specified")
        if target.kind.gvr.resource not in EXPOSABLE:
            raise CommandError(f"cannot expose a {target.kind.kind}")
        path = path_of(target.kind.gvr, kube.namespace, target.name)
        obj = kube.request("GET", path)
        service = service_for(obj, target.name, options)
        kube.request("POST", path_of(SERVICES, kube.namespace), service)
        print(f"service/{service['metadata']['name']} exposed")
    return 0


def service_for(obj: Obj, name: str, options: argparse.Namespace) -> Obj:
    """Raises CommandError as kubectl words it."""
    ports = [options.port] if options.port else _ports_of(obj)
    if not ports:
        raise CommandError("couldn't find port via --port flag or introspection")
    selector = _selector_of(obj)
    if not selector:
        raise CommandError("couldn't retrieve selectors via --selector flag or introspection")
    made = []
    for number, port in enumerate(ports, 1):
        entry: Obj = {"protocol": options.protocol or "TCP", "port": _number(port)}
        target = options.target_port or port
        entry["targetPort"] = int(target) if str(target).isdigit() else target
        if len(ports) > 1:
            entry["name"] = f"port-{number}"
        made.append(entry)
    spec: Obj = {"ports": made, "selector": selector}
    if options.type != "ClusterIP":
        spec["type"] = options.type
    metadata: Obj = {"name": options.name or name}
    if labels := labels_of(obj):
        metadata["labels"] = labels
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def _number(port: str) -> int:
    try:
        return int(port)
    except ValueError as exc:
        raise CommandError(f'invalid argument "{port}" for "--port"') from exc


def _ports_of(obj: Obj) -> list[str]:
    template = at(obj, "spec", "template", default=obj)
    return [
        str(port["containerPort"])
        for container in at(template, "spec", "containers", default=[])
        for port in container.get("ports") or []
    ]


def _selector_of(obj: Obj) -> dict[str, str]:
    if obj.get("kind") == "Pod":
        return dict(labels_of(obj))
    found = at(obj, "spec", "selector", default={})
    if at(found, "matchExpressions"):
        raise CommandError("couldn't convert expressions to a Service's selector")
    return dict(found.get("matchLabels") or (found if obj.get("kind") == "Service" else {}))
