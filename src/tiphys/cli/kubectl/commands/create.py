"""`kubectl create -f` and `kubectl create deployment`."""

import argparse
from collections.abc import Sequence

from tiphys.api.meta import GroupVersionResource, Obj, namespace_of
from tiphys.cli.kubectl import manifests, printers
from tiphys.cli.kubectl.client import KubeClient, path_of
from tiphys.cli.kubectl.resource_args import Kind, find_kind
from tiphys.cli.output import CommandError

DEPLOYMENTS = GroupVersionResource("apps", "v1", "deployments")
NAMESPACES = GroupVersionResource("", "v1", "namespaces")


def run(kube: KubeClient, arguments: Sequence[str]) -> int:
    if arguments and not arguments[0].startswith("-"):
        made = {"deployment": _deployment, "deploy": _deployment, "namespace": _namespace}
        if arguments[0] not in made:
            raise CommandError(
                f'unknown command "create {arguments[0]}"',
                fix="here so far: create -f, create deployment, create namespace",
            )
        return made[arguments[0]](kube, arguments[1:])
    parser = argparse.ArgumentParser(prog="kubectl create")
    parser.add_argument("-f", "--filename", action="append", default=[])
    parser.add_argument("-o", "--output", default="")
    options = parser.parse_args(arguments)
    for obj in manifests.read(options.filename):
        kind = find_kind(kube, obj)
        created = create(kube, kind, obj)
        _say(kind, created, options.output)
    return 0


def create(kube: KubeClient, kind: Kind, obj: Obj) -> Obj:
    """Raises ApiError."""
    where = (namespace_of(obj) or kube.namespace) if kind.namespaced else ""
    query = {"fieldManager": "kubectl-create", "fieldValidation": "Strict"}
    return kube.request("POST", path_of(kind.gvr, where), obj, query=query)


def _say(kind: Kind, obj: Obj, output: str) -> None:
    if output in ("yaml", "json"):
        print(printers.as_text([obj], output, single=True))
    elif output == "name":
        print(printers.named(kind, obj))
    else:
        print(f"{printers.named(kind, obj)} created")


def _deployment(kube: KubeClient, arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="kubectl create deployment")
    parser.add_argument("name")
    parser.add_argument("--image", action="append", required=True)
    parser.add_argument("-r", "--replicas", type=int, default=1)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("-o", "--output", default="")
    words, command = split_command(arguments)
    options = parser.parse_args(words)
    obj = deployment(options.name, options.image, options.replicas, options.port, command)
    kind = Kind(DEPLOYMENTS, "Deployment", "deployment", True)
    _say(kind, create(kube, kind, obj), options.output)
    return 0


def split_command(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """What stands before `--`, and the command after it."""
    words = list(arguments)
    if "--" not in words:
        return words, []
    at = words.index("--")
    return words[:at], words[at + 1 :]


def deployment(
    name: str, images: Sequence[str], replicas: int, port: int, command: Sequence[str]
) -> Obj:
    """The object that `create deployment` sends. Source: kubectl create_deployment.go."""
    if command and len(images) > 1:
        raise CommandError("cannot specify multiple --image options and command")
    containers = []
    for image in images:
        container: Obj = {"name": container_name(image), "image": image, "resources": {}}
        if command:
            container["command"] = list(command)
        if port:
            container["ports"] = [{"containerPort": port}]
        containers.append(container)
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        },
    }


def container_name(image: str) -> str:
    """The last part of the image's name, without tag and digest, as a container may be called."""
    return image.split("@")[0].rsplit("/", 1)[-1].split(":")[0].replace("_", "-").lower()


def _namespace(kube: KubeClient, arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="kubectl create namespace")
    parser.add_argument("name")
    parser.add_argument("-o", "--output", default="")
    options = parser.parse_args(arguments)
    obj = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": options.name}}
    kind = Kind(NAMESPACES, "Namespace", "namespace", False)
    _say(kind, create(kube, kind, obj), options.output)
    return 0
