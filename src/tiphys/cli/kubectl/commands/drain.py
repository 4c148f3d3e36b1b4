"""`kubectl drain NODE`: close a node and move its pods elsewhere, as their budgets allow."""

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Final

from tiphys.api.errors import ApiError, NotFound, TooManyRequests
from tiphys.api.meta import GroupVersionResource, Obj, name_of, namespace_of, uid_of
from tiphys.cli.kubectl.client import KubeClient, path_of
from tiphys.cli.kubectl.cordoning import set_unschedulable
from tiphys.cli.kubectl.drain_plan import Allowed, plan, sentence
from tiphys.cli.output import CommandError

_PODS: Final = GroupVersionResource("", "v1", "pods")
REFUSED_PAUSE_SECONDS: Final = 5.0  # Upstream's, before an eviction that a budget refused is tried.
POLL_SECONDS: Final = 0.1


def run(kube: KubeClient, arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    node = options.node.removeprefix("node/")
    set_unschedulable(kube, node, wanted=True)
    query = {"fieldSelector": f"spec.nodeName={node}", "labelSelector": options.pod_selector}
    listed = kube.request("GET", path_of(_PODS, ""), query=query)
    allowed = Allowed(options.ignore_daemonsets, options.delete_emptydir_data, options.force)
    wanted = plan(listed.get("items") or [], allowed)
    if wanted.errors:
        raise CommandError(f'unable to drain node "{node}" due to error: {sentence(wanted.errors)}')
    if wanted.warnings:
        print(f"Warning: {sentence(wanted.warnings)}", file=sys.stderr)
    deadline = time.monotonic() + options.timeout if options.timeout else float("inf")
    for pod in wanted.pods:
        _move(kube, pod, options, deadline)
    for pod in wanted.pods:
        _wait_gone(kube, pod, deadline, "deleted" if options.disable_eviction else "evicted")
    print(f"node/{node} drained")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kubectl drain")
    parser.add_argument("node")
    parser.add_argument("--ignore-daemonsets", action="store_true")
    parser.add_argument("--delete-emptydir-data", action="store_true")
    parser.add_argument("--force", action="store_true")
    parser.add_argument("--disable-eviction", action="store_true")
    parser.add_argument("--grace-period", type=int, default=-1)
    parser.add_argument("--pod-selector", default="")
    parser.add_argument("--timeout", type=_seconds, default=0.0, metavar="DURATION")
    return parser


def _seconds(text: str) -> float:
    """`90s`, `2m`, `1h`, or seconds. Raises ValueError, which argparse tells."""
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    return float(text[:-1]) * units[text[-1]] if text[-1:] in units else float(text)


def _move(kube: KubeClient, pod: Obj, options: argparse.Namespace, deadline: float) -> None:
    """Ask until it is granted or the pod is gone. Raises CommandError, ApiError."""
    name, namespace = name_of(pod), namespace_of(pod)
    verb = "deleting" if options.disable_eviction else "evicting"
    print(f"{verb} pod {namespace}/{name}")
    path = path_of(_PODS, namespace, name)
    delete = {"gracePeriodSeconds": options.grace_period} if options.grace_period >= 0 else {}
    while True:
        try:
            if options.disable_eviction:
                kube.request("DELETE", path, delete or None)
            else:
                kube.request("POST", f"{path}/eviction", _eviction(name, namespace, delete))
            return
        except NotFound:
            return
        except TooManyRequests as exc:
            print(
                f"error when evicting pods/{name!r} -n {namespace!r} (will retry after 5s): {exc}",
                file=sys.stderr,
            )
        _pause(REFUSED_PAUSE_SECONDS, deadline, name)


def _eviction(name: str, namespace: str, delete: Obj) -> Obj:
    body: Obj = {"apiVersion": "policy/v1", "kind": "Eviction"}
    body["metadata"] = {"name": name, "namespace": namespace}
    return body | ({"deleteOptions": delete} if delete else {})


def _wait_gone(kube: KubeClient, pod: Obj, deadline: float, done: str) -> None:
    path = path_of(_PODS, namespace_of(pod), name_of(pod))
    while True:
        try:
            if uid_of(kube.request("GET", path)) != uid_of(pod):
                break
        except NotFound:
            break
        except ApiError as exc:
            raise CommandError(f"cannot see whether pod {name_of(pod)} is gone: {exc}") from exc
        _pause(POLL_SECONDS, deadline, name_of(pod))
    print(f"pod/{name_of(pod)} {done}")


def _pause(seconds: float, deadline: float, name: str) -> None:
    """Raises CommandError when there is no time left."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise CommandError(f"drain did not complete within timeout: pod {name} is still there")
    time.sleep(min(seconds, left))
