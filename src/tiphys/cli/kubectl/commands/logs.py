"""`kubectl logs [-f] POD [-c CONTAINER]`, also of a deployment's first pod."""

import argparse
import sys
from collections.abc import Sequence

from tiphys.api.meta import GroupVersionResource, at, name_of
from tiphys.cli.kubectl.client import KubeClient, path_of
from tiphys.cli.kubectl.resource_args import find
from tiphys.cli.output import CommandError

_DURATION_SECONDS_MAX = (2**63 - 1) // 10**9  # Go's time.Duration, as upstream's flag has it.
PODS = GroupVersionResource("", "v1", "pods")


def run(kube: KubeClient, arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="kubectl logs")
    parser.add_argument("pod")
    parser.add_argument("container_name", nargs="?", default="")
    parser.add_argument("-c", "--container", default="")
    parser.add_argument("-f", "--follow", action="store_true")
    parser.add_argument("-p", "--previous", action="store_true")
    parser.add_argument("--tail", type=int, default=-1)
    parser.add_argument("--timestamps", action="store_true")
    parser.add_argument("--since", default="")
    options = parser.parse_args(arguments)
    query = {
        "container": options.container or options.container_name,
        "follow": options.follow,
        "previous": options.previous,
        "timestamps": options.timestamps,
        "tailLines": str(options.tail) if options.tail >= 0 else "",
        "sinceSeconds": seconds(options.since) if options.since else "",
    }
    path = path_of(PODS, kube.namespace, pod_name(kube, options.pod), "log")
    for piece in kube.chunks(path, query):
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    return 0


def pod_name(kube: KubeClient, word: str) -> str:
    """A pod's name, or the first pod of `deployment/web`. Raises CommandError."""
    kind_word, slash, name = word.partition("/")
    if not slash:
        return word
    kind = find(kube, kind_word)
    if kind.gvr == PODS:
        return name
    owner = kube.request("GET", path_of(kind.gvr, kube.namespace, name))
    labels = at(owner, "spec", "selector", "matchLabels") or at(owner, "spec", "selector") or {}
    selector = ",".join(f"{k}={v}" for k, v in labels.items())
    listed = kube.request("GET", path_of(PODS, kube.namespace), query={"labelSelector": selector})
    found = sorted(listed.get("items") or [], key=name_of)
    if not found:
        raise CommandError(f"no pods found for {word}")
    return name_of(found[0])


def seconds(text: str) -> str:
    """`90s`, `5m`, `1h30m` as seconds. Raises CommandError."""
    units = {"s": 1, "m": 60, "h": 3600}
    total, digits = 0, ""
    for letter in text:
        if letter.isdigit():
            digits += letter
        elif letter in units and digits:
            total += int(digits) * units[letter]
            digits = ""
        else:
            raise CommandError(f'invalid argument "{text}" for "--since"')
    total += int(digits) if digits else 0
    if total > _DURATION_SECONDS_MAX:
        raise CommandError(f'invalid argument "{text}" for "--since": longer than any log is old')
    return str(total)
