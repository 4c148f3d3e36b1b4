"""`pods`, `po`, `deployment/web`, `deploy.apps web`: what a command is about.

Built-in resources are known without asking; others are looked up by discovery.
Upstream: cli-runtime pkg/resource/builder.go.
"""

from collections.abc import Sequence
from typing import NamedTuple

from tiphys.api.errors import NotFound
from tiphys.api.meta import GroupVersionResource, Obj
from tiphys.api.resources import RESOURCES
from tiphys.cli.kubectl.client import KubeClient
from tiphys.cli.output import CommandError


class Kind(NamedTuple):
    gvr: GroupVersionResource
    kind: str
    singular: str
    namespaced: bool

    @property
    def qualified(self) -> str:
        """`deployment.apps`, `pod`: how kubectl names an object's type."""
        return f"{self.singular}.{self.gvr.group}" if self.gvr.group else self.singular


class Target(NamedTuple):
    """A type, and an object's name or "" for all."""

    kind: Kind
    name: str


ALL_KINDS = ("pods", "services", "daemonsets", "deployments", "replicasets", "statefulsets")
ALL_KINDS_MORE = ("horizontalpodautoscalers", "cronjobs", "jobs")


def find(kube: KubeClient, word: str) -> Kind:
    """The type that a word names. Raises CommandError as kubectl words it."""
    wanted, _, group = word.lower().partition(".")
    for info in RESOURCES:
        names = (info.plural, info.singular, info.kind.lower(), *info.short_names)
        if wanted in names and (not group or _group_matches(info.gvr, group)):
            if info.group == "events.k8s.io" and not group:
                continue
            return Kind(info.gvr, info.kind, info.singular, info.namespaced)
    found = _discovered(kube, wanted, group)
    if found is None:
        raise CommandError(f'the server doesn\'t have a resource type "{word}"', code=1)
    return found


def find_kind(kube: KubeClient, obj: Obj) -> Kind:
    """The type of an object from a manifest. Raises CommandError."""
    api_version, kind = str(obj.get("apiVersion", "")), str(obj.get("kind", ""))
    group, _, version = api_version.rpartition("/")
    for info in RESOURCES:
        if (info.group, info.version, info.kind) == (group, version, kind):
            return Kind(info.gvr, info.kind, info.singular, info.namespaced)
    for found in _kinds_of(kube, group, version):
        if found.kind == kind:
            return found
    raise CommandError(
        f'no matches for kind "{kind}" in version "{api_version}"',
        fix="ensure CRDs are installed first",
    )


def targets(kube: KubeClient, words: Sequence[str]) -> list[Target]:
    """`pods a b`, `pods,services`, `deployment/web pod/a`. Raises CommandError."""
    if not words:
        raise CommandError("You must specify the type of resource.", fix="for example: pods")
    if "/" in words[0]:
        found = []
        for word in words:
            kind, slash, name = word.partition("/")
            if not slash or not name:
                raise CommandError(
                    "there is no need to specify a resource type as a separate argument when "
                    "passing arguments in resource/name form (e.g. 'kubectl get resource/<name>' "
                    "instead of 'kubectl get resource resource/<name>'"
                )
            found.append(Target(find(kube, kind), name))
        return found
    kinds = [find(kube, w) for word in words[0].split(",") for w in _expanded(word)]
    names = list(words[1:]) or [""]
    return [Target(kind, name) for kind in kinds for name in names]


def _expanded(word: str) -> Sequence[str]:
    return (*ALL_KINDS, *ALL_KINDS_MORE) if word == "all" else (word,)


def _group_matches(gvr: GroupVersionResource, group: str) -> bool:
    return gvr.group == group or f"{gvr.version}.{gvr.group}".rstrip(".") == group


def _discovered(kube: KubeClient, wanted: str, group: str) -> Kind | None:
    listed = kube.request("GET", "/apis").get("groups") or []
    for one in listed:
        if group and one["name"] != group:
            continue
        version = one["preferredVersion"]["version"]
        for found in _kinds_of(kube, one["name"], version, wanted):
            return found
    return None


def _kinds_of(kube: KubeClient, group: str, version: str, wanted: str = "") -> list[Kind]:
    path = f"/apis/{group}/{version}" if group else f"/api/{version}"
    try:
        listed = kube.request("GET", path).get("resources") or []
    except NotFound:
        return []
    found = []
    for resource in listed:
        names = (resource["name"], resource.get("singularName"), resource["kind"].lower())
        if "/" in resource["name"]:
            continue
        if wanted and wanted not in (*names, *(resource.get("shortNames") or [])):
            continue
        gvr = GroupVersionResource(group, version, resource["name"])
        singular = resource.get("singularName") or resource["kind"].lower()
        found.append(Kind(gvr, resource["kind"], singular, bool(resource["namespaced"])))
    return found
