"""Writes and caches for the tests of admission plugins."""

from typing import Any

from tiphys.api.errors import Forbidden
from tiphys.apiserver.admission.chain import Chain, Operation, Plugin, Write
from tiphys.apiserver.request_info import RequestInfo
from tiphys.apiserver.user import User
from tiphys.storage.backend import KeyValue
from tiphys.storage.cached_object import encode_head, encode_value
from tiphys.storage.watch_cache import WatchCache

Obj = dict[str, Any]


def a_cache(prefix: str, api_version: str, kind: str, objects: list[Obj]) -> WatchCache:
    cache = WatchCache(prefix, encode_head(api_version, kind), lambda obj: ({}, {}))
    items = []
    for obj in objects:
        meta = obj["metadata"]
        place = f"{meta['namespace']}/" if "namespace" in meta else ""
        whole = {"kind": kind, "apiVersion": api_version, **obj}
        items.append(KeyValue(f"{prefix}{place}{meta['name']}", encode_value(whole), 2))
    cache.load(items, 2)
    return cache


def a_write(
    obj: Obj,
    plural: str = "pods",
    *,
    operation: Operation = "CREATE",
    group: str = "",
    subresource: str = "",
    old: Obj | None = None,
    kind: str = "Pod",
) -> Write:
    info = RequestInfo("", "create", True, group, "v1", "ns", plural, subresource, "")
    return Write(operation, info, User("me", ()), kind, obj, old, [])


def a_pod(*resources: Obj, **spec: Any) -> Obj:
    """One container, c0, c1, ..., for each of the resources."""
    containers = [{"name": f"c{n}", "resources": r} for n, r in enumerate(resources)]
    return {"metadata": {"name": "p"}, "spec": {"containers": containers, **spec}}


def refusal(plugin: Plugin, write: Write) -> str:
    """Why the write is refused, without who and what; empty for none."""
    try:
        chain = Chain([plugin])
        chain.mutate(write)
        chain.validate(write)
    except Forbidden as refused:
        return refused.message.partition("is forbidden: ")[2]
    return ""
