"""`kubectl delete`: by name, by selector, all, or what a manifest names; waits until it is gone."""

import argparse
import sys
import time
from collections.abc import Sequence

from tiphys.api.errors import Forbidden, MethodNotAllowed, NotFound, TooManyRequests
from tiphys.api.meta import Obj, name_of, namespace_of, uid_of
from tiphys.cli.kubectl import manifests
from tiphys.cli.kubectl.client import KubeClient, path_of
from tiphys.cli.kubectl.resource_args import Kind, Target, find_kind, targets
from tiphys.cli.output import CommandError

POLL_SECONDS = 0.1
CASCADES = {"background": "Background", "foreground": "Foreground", "orphan": "Orphan"}


def run(kube: KubeClient, arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="kubectl delete")
    parser.add_argument("resources", nargs="*")
    parser.add_argument("-f", "--filename", action="append", default=[])
    parser.add_argument("-l", "--selector", default="")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--grace-period", type=int, default=-1)
    parser.add_argument("--force", action="store_true")
    parser.add_argument("--now", action="store_true")
    parser.add_argument("--ignore-not-found", action="store_true")
    parser.add_argument("--cascade", choices=tuple(CASCADES), default="background")
    parser.add_argument("--wait", choices=("true", "false"), default="true")
    options = parser.parse_args(arguments)
    failed = 0
    waiting: list[tuple[str, str]] = []
    for kind, name, namespace in _chosen(kube, options):
        path = path_of(kind.gvr, namespace, name)
        try:
            answer = kube.request("DELETE", path, _delete_options(options))
        except NotFound as exc:
            if not options.ignore_not_found:
                print(f"Error from server (NotFound): {exc.message}", file=sys.stderr)
                failed = 1
            continue
        print(f'{kind.qualified} "{name}" {"force deleted" if options.force else "deleted"}')
        waiting.append((path, _uid(answer)))
    if options.wait == "true":
        for path, uid in waiting:
            _wait(kube, path, uid)
    return failed


def _chosen(kube: KubeClient, options: argparse.Namespace) -> list[tuple[Kind, str, str]]:
    """(type, name, namespace) of everything to delete. Raises CommandError."""
    if options.filename:
        found = []
        for obj in manifests.read(options.filename):
            kind = find_kind(kube, obj)
            where = (namespace_of(obj) or kube.namespace) if kind.namespaced else ""
            found.append((kind, name_of(obj), where))
        return found
    chosen: list[tuple[Kind, str, str]] = []
    for target in targets(kube, options.resources):
        where = kube.namespace if target.kind.namespaced else ""
        if target.name:
            chosen.append((target.kind, target.name, where))
        else:
            chosen += [(target.kind, n, where) for n in _listed(kube, target, where, options)]
    return chosen


def _listed(kube: KubeClient, target: Target, where: str, options: argparse.Namespace) -> list[str]:
    if not options.selector and not options.all:
        raise CommandError("resource(s) were provided, but no name was specified")
    path = path_of(target.kind.gvr, where)
    listed = kube.request("GET", path, query={"labelSelector": options.selector})
    return [name_of(item) for item in listed.get("items") or []]


def _delete_options(options: argparse.Namespace) -> Obj:
    found: Obj = {"kind": "DeleteOptions", "apiVersion": "v1"}
    found["propagationPolicy"] = CASCADES[options.cascade]
    grace = 1 if options.now else options.grace_period
    if options.force and grace < 0:
        grace = 0
    if grace >= 0:
        found["gracePeriodSeconds"] = grace
    return found


def _uid(answer: Obj) -> str:
    """Of the object that is going, or of the Status that names it."""
    return uid_of(answer) or str((answer.get("details") or {}).get("uid", ""))


def _wait(kube: KubeClient, path: str, uid: str) -> None:
    """Until the object is gone, or as long as we may see it. Raises ApiError.

    Who may delete but not look is not waited for and not told: the deletion was accepted.
    Upstream: kubectl pkg/cmd/delete/delete.go, DeleteResult.
    """
    while True:
        try:
            found = kube.request("GET", path)
        except (NotFound, Forbidden, MethodNotAllowed):
            return
        except TooManyRequests:
            found = {}
        if uid and uid_of(found) not in ("", uid):
            return
        time.sleep(POLL_SECONDS)
