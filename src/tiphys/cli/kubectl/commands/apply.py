"""`kubectl apply -f`: create, or change what differs from what is wanted.

What was applied is remembered in an annotation, so that a field that is wanted no more goes.
Upstream: kubectl pkg/cmd/apply (client-side).
"""

import argparse
from collections.abc import Sequence
from typing import Any, Final

import orjson

from tiphys.api.errors import NotFound
from tiphys.api.meta import Obj, annotations_of, name_of, namespace_of
from tiphys.api.resources import by_kind
from tiphys.cli.kubectl import manifests, printers
from tiphys.cli.kubectl.client import KubeClient, path_of
from tiphys.cli.kubectl.resource_args import Kind, find_kind
from tiphys.cli.output import CommandError
from tiphys.codec.patch.three_way import three_way

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_QUERY: Final = {"fieldManager": "kubectl-client-side-apply", "fieldValidation": "Strict"}


def run(kube: KubeClient, arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="kubectl apply")
    parser.add_argument("-f", "--filename", action="append", default=[])
    parser.add_argument("-o", "--output", default="")
    options = parser.parse_args(arguments)
    for obj in manifests.read(options.filename):
        if not name_of(obj):
            raise CommandError("error when retrieving current configuration: name is required")
        kind = find_kind(kube, obj)
        result, word = apply(kube, kind, obj)
        if options.output in ("yaml", "json"):
            print(printers.as_text([result], options.output, single=True))
        else:
            print(f"{printers.named(kind, result)} {word}")
    return 0


def apply(kube: KubeClient, kind: Kind, obj: Obj) -> tuple[Obj, str]:
    """The object after it, and created, configured or unchanged. Raises ApiError."""
    where = (namespace_of(obj) or kube.namespace) if kind.namespaced else ""
    wanted = with_annotation(obj, where)
    path = path_of(kind.gvr, where, name_of(obj))
    try:
        current = kube.request("GET", path)
    except NotFound:
        created = kube.request("POST", path_of(kind.gvr, where), wanted, query=_QUERY)
        return created, "created"
    patch, content_type = patch_for(wanted, current)
    if not patch:
        return current, "unchanged"
    changed = kube.request("PATCH", path, patch, query=_QUERY, content_type=content_type)
    same = _version(changed) == _version(current)
    return changed, "unchanged" if same else "configured"


def patch_for(wanted: Obj, current: Obj) -> tuple[Obj, str]:
    """The patch and its content type: strategic for built-in kinds, merge for the others."""
    before = last_applied(current)
    group, _, version = str(wanted.get("apiVersion", "")).rpartition("/")
    info = by_kind((group, version, str(wanted.get("kind", ""))))
    if info is None:
        return three_way(before, wanted, current), "application/merge-patch+json"
    patch = three_way(before, wanted, current, info.schema_type)
    return patch, "application/strategic-merge-patch+json"


def last_applied(current: Obj) -> Obj:
    text = annotations_of(current).get(LAST_APPLIED, "")
    try:
        found: Any = orjson.loads(text) if text else {}
    except orjson.JSONDecodeError:
        found = {}
    return found if isinstance(found, dict) else {}


def with_annotation(obj: Obj, namespace: str) -> Obj:
    """The object with itself in the annotation, as kubectl writes it."""
    metadata = dict(obj.get("metadata") or {})
    if namespace:
        metadata["namespace"] = namespace
    notes = {k: v for k, v in (metadata.get("annotations") or {}).items() if k != LAST_APPLIED}
    plain = {**obj, "metadata": {**metadata, "annotations": notes}}
    text = orjson.dumps(plain, option=orjson.OPT_SORT_KEYS).decode() + "\n"
    return {**obj, "metadata": {**metadata, "annotations": {**notes, LAST_APPLIED: text}}}


def _version(obj: Obj) -> str:
    return str((obj.get("metadata") or {}).get("resourceVersion", ""))
