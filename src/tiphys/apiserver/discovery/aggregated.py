"""Aggregated discovery: everything of `/api` or `/apis` in one APIGroupDiscoveryList.

Upstream: apiserver pkg/endpoints/discovery/aggregated; api/discovery/aggregated_v2.json.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from tiphys.api.meta import Obj
from tiphys.api.resources import GroupVersionInfo, ResourceInfo, SubresourceInfo
from tiphys.apiserver.discovery.legacy import grouped

API_VERSION: Final = "apidiscovery.k8s.io/v2"
CONTENT_TYPE: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def core_discovery(versions: Sequence[GroupVersionInfo], infos: Sequence[ResourceInfo]) -> Obj:
    """`/api`: the group without a name."""
    core = [v for v in versions if not v.group]
    return _list([{"metadata": {}, "versions": [_version(v, infos) for v in core]}])


def group_discovery(versions: Sequence[GroupVersionInfo], infos: Sequence[ResourceInfo]) -> Obj:
    """`/apis`: all named groups."""
    return _list(
        [
            {"metadata": {"name": name}, "versions": [_version(v, infos) for v in members]}
            for name, members in grouped(versions)
        ]
    )


def _list(items: list[Obj]) -> Obj:
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": API_VERSION,
        "metadata": {},
        "items": items,
    }


def _version(version: GroupVersionInfo, infos: Iterable[ResourceInfo]) -> Obj:
    own = [i for i in infos if (i.group, i.version) == (version.group, version.version)]
    return {
        "version": version.version,
        "resources": [_resource(i) for i in own],
        "freshness": "Current",
    }


def _resource(info: ResourceInfo) -> Obj:
    made: Obj = {
        "resource": info.plural,
        "responseKind": {"group": "", "version": "", "kind": info.kind},
        "scope": "Namespaced" if info.namespaced else "Cluster",
        "singularResource": info.singular,
        "verbs": list(info.verbs),
    }
    if info.short_names:
        made["shortNames"] = list(info.short_names)
    if info.categories:
        made["categories"] = list(info.categories)
    if info.subresources:
        made["subresources"] = [_subresource(info, s) for s in info.subresources.values()]
    return made


def _subresource(info: ResourceInfo, sub: SubresourceInfo) -> Obj:
    other = sub.kind[:2] != info.gvk[:2]
    kind = {
        "group": sub.kind.group if other else "",
        "version": sub.kind.version if other else "",
        "kind": sub.kind.kind,
    }
    return {"subresource": sub.name, "responseKind": kind, "verbs": list(sub.verbs)}
