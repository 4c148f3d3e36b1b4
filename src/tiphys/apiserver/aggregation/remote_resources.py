"""What other servers serve, in the form that our own discovery is made of.

Upstream: apiserver pkg/endpoints (ConvertGroupVersionIntoToDiscovery).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tiphys.api.meta import GroupVersionKind, Obj
from tiphys.api.resources import GroupVersionInfo, ResourceInfo, SubresourceInfo
from tiphys.apiserver.aggregation.remote import Remote


def group_versions(
    own: Sequence[GroupVersionInfo], remotes: Iterable[Remote]
) -> list[GroupVersionInfo]:
    """Ours and theirs that are available; a remote version stands for ours of its name."""
    theirs = {
        r.key: GroupVersionInfo(r.group, r.version, "", r.group_priority, r.version_priority)
        for r in remotes
        if r.is_available
    }
    kept = [v for v in own if (v.group, v.version) not in theirs]
    return [*kept, *theirs.values()]


def resources(
    own: Sequence[ResourceInfo], documents: Mapping[tuple[str, str], Obj]
) -> list[ResourceInfo]:
    """documents: APIResourceLists by group and version."""
    found = [info for info in own if (info.group, info.version) not in documents]
    for (group, version), document in documents.items():
        found += infos_of(group, version, document)
    return found


def infos_of(group: str, version: str, document: Obj) -> list[ResourceInfo]:
    """An APIResourceList of another server; entries that are none are passed over."""
    found: dict[str, ResourceInfo] = {}
    for entry in document.get("resources") or ():
        if isinstance(entry, dict) and isinstance(entry.get("name"), str) and entry.get("kind"):
            plural, _, subresource = entry["name"].partition("/")
            if not subresource:
                found[plural] = _info(group, version, entry)
            elif plural in found:
                made = _subresource(group, version, subresource, entry)
                parent = found[plural]
                found[plural] = replace(
                    parent, subresources=parent.subresources | {subresource: made}
                )
    return list(found.values())


def _info(group: str, version: str, entry: Obj) -> ResourceInfo:
    return ResourceInfo(
        group=group,
        version=version,
        plural=entry["name"],
        singular=str(entry.get("singularName", "")),
        kind=str(entry["kind"]),
        namespaced=bool(entry.get("namespaced")),
        verbs=_texts(entry.get("verbs")),
        schema_type="",
        short_names=_texts(entry.get("shortNames")),
        categories=_texts(entry.get("categories")),
    )


def _subresource(group: str, version: str, name: str, entry: Obj) -> SubresourceInfo:
    kind = GroupVersionKind(
        str(entry.get("group") or group), str(entry.get("version") or version), str(entry["kind"])
    )
    return SubresourceInfo(name, kind, _texts(entry.get("verbs")))


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(str(v) for v in value or ())
