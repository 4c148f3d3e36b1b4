"""Discovery in its old form: APIVersions, APIGroupList, APIGroup, APIResourceList.

Upstream: apiserver pkg/endpoints/discovery.
"""

import base64
import hashlib
from collections.abc import Iterable, Sequence

from tiphys.api.meta import Obj
from tiphys.api.resources import GroupVersionInfo, ResourceInfo, SubresourceInfo

_HASH_BYTES = 8


def storage_version_hash(info: ResourceInfo) -> str:
    """Tells clients when the stored form changes; empty for what is not stored.

    Source: apiserver pkg/endpoints/discovery/storageversionhash.go.
    """
    if "list" not in info.verbs or "create" not in info.verbs:
        return ""
    stored = info.storage_version or (
        f"{info.group}/{info.version}" if info.group else info.version
    )
    text = f"{stored if '/' in stored else '/' + stored}/{info.kind}"
    digest = hashlib.sha256(text.encode()).digest()[:_HASH_BYTES]
    return base64.b64encode(digest).decode()


def api_versions(server_address: str) -> Obj:
    """`/api`; server_address is `host:port`."""
    by_client = [{"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}]
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": by_client,
    }


def api_group_list(versions: Iterable[GroupVersionInfo]) -> Obj:
    """`/apis`: groups by their priority, the first mention deciding among equals."""
    groups = [_group(name, members) for name, members in grouped(versions)]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def grouped(
    versions: Iterable[GroupVersionInfo],
) -> list[tuple[str, list[GroupVersionInfo]]]:
    """Named groups in the order of discovery, each with its versions, best first."""
    found: dict[str, list[GroupVersionInfo]] = {}
    for version in versions:
        if version.group:
            found.setdefault(version.group, []).append(version)
    for members in found.values():
        members.sort(key=lambda v: -v.version_priority)
    return sorted(found.items(), key=lambda pair: -max(v.group_priority for v in pair[1]))


def _group(name: str, members: Sequence[GroupVersionInfo]) -> Obj:
    versions = [{"groupVersion": m.api_version, "version": m.version} for m in members]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def api_group(name: str, versions: Iterable[GroupVersionInfo]) -> Obj | None:
    """`/apis/GROUP`, or None for a group that is not there."""
    members = dict(grouped(versions)).get(name)
    if members is None:
        return None
    return {"kind": "APIGroup", "apiVersion": "v1"} | _group(name, members)


def api_resource_list(group: str, version: str, infos: Iterable[ResourceInfo]) -> Obj:
    """`/api/v1` or `/apis/GROUP/VERSION`."""
    resources: list[Obj] = []
    for info in infos:
        if (info.group, info.version) == (group, version):
            resources.append(_resource(info))
            resources += [_subresource(info, sub) for sub in info.subresources.values()]
    listed: Obj = {"kind": "APIResourceList"}
    if group:
        listed["apiVersion"] = "v1"
    listed["groupVersion"] = f"{group}/{version}" if group else version
    return listed | {"resources": resources}


def _resource(info: ResourceInfo) -> Obj:
    made: Obj = {
        "name": info.plural,
        "singularName": info.singular,
        "namespaced": info.namespaced,
        "kind": info.kind,
        "verbs": list(info.verbs),
    }
    if info.short_names:
        made["shortNames"] = list(info.short_names)
    if info.categories:
        made["categories"] = list(info.categories)
    if digest := storage_version_hash(info):
        made["storageVersionHash"] = digest
    return made


def _subresource(info: ResourceInfo, sub: SubresourceInfo) -> Obj:
    made: Obj = {
        "name": f"{info.plural}/{sub.name}",
        "singularName": "",
        "namespaced": info.namespaced,
    }
    if sub.kind[:2] != info.gvk[:2]:
        made |= {"group": sub.kind.group, "version": sub.kind.version}
    return made | {"kind": sub.kind.kind, "verbs": list(sub.verbs)}
