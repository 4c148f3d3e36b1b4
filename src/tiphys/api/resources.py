"""The built-in resources: one line each in resources.txt, parsed into ResourceInfo.

Format of resources.txt, groups in the order of discovery:

    @@group/version package priority,priority     APIService groupPriorityMinimum, versionPriority
    !plural Kind:verbs =singular ~storage short,short #category /sub=kind:verbs

`!` = cluster-scoped. Verbs are letters (c create, d delete, D deletecollection, g get, l list,
p patch, u update, w watch), none written = all; a subresource without = get, patch, update. The
kind of a subresource is the resource's own, or `Kind` of the same version, or `group/version/Kind`.
`~` = another version that the object is stored in (it shows in the storage version's hash).

Upstream: api/discovery/*.json and pkg/registry/*/storage (short names, categories, verbs).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Final

from tiphys.api.meta import GroupVersionKind, GroupVersionResource

ALL_VERBS: Final = (
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
)
_LETTERS: Final = dict(zip("cdDglpuw", ALL_VERBS, strict=True))
_SUBRESOURCE_VERBS: Final = ("get", "patch", "update")


@dataclass(frozen=True, slots=True)
class SubresourceInfo:
    """A subresource: its name, the kind of its body and the verbs it takes."""

    name: str
    kind: GroupVersionKind
    verbs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ResourceInfo:
    """What discovery says of a resource; schema_type names its schema (`apps.v1.Deployment`)."""

    group: str
    version: str
    plural: str
    singular: str
    kind: str
    namespaced: bool
    verbs: tuple[str, ...]
    schema_type: str
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: dict[str, SubresourceInfo] = field(default_factory=dict)
    storage_version: str = ""  # "group/version" of the stored form where it is another one.

    # Made once: every request asks for them.
    gvr: GroupVersionResource = field(init=False, repr=False, compare=False)
    gvk: GroupVersionKind = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        gvr = GroupVersionResource(self.group, self.version, self.plural)
        object.__setattr__(self, "gvr", gvr)
        gvk = GroupVersionKind(self.group, self.version, self.kind)
        object.__setattr__(self, "gvk", gvk)


@dataclass(frozen=True, slots=True)
class GroupVersionInfo:
    """A built-in group and version with the priorities of its APIService."""

    group: str
    version: str
    package: str  # "apps.v1", the prefix of its schema types.
    group_priority: int
    version_priority: int

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


def load(text: str) -> tuple[tuple[GroupVersionInfo, ...], tuple[ResourceInfo, ...]]:
    """Parse the table. Raises ValueError where a line is not in its format."""
    groups: list[GroupVersionInfo] = []
    found: list[ResourceInfo] = []
    for line in text.splitlines():
        if line.startswith("@@"):
            groups.append(_group(line[2:]))
        elif line:
            found.append(_resource(groups[-1], line))
    return tuple(groups), tuple(found)


def _group(line: str) -> GroupVersionInfo:
    api_version, package, priorities = line.split()
    group, _, version = api_version.rpartition("/")
    group_priority, version_priority = priorities.split(",")
    return GroupVersionInfo(group, version, package, int(group_priority), int(version_priority))


def _resource(of: GroupVersionInfo, line: str) -> ResourceInfo:
    plural, kind, *words = line.split()
    kind, verbs = _verbs(kind, ALL_VERBS)
    singular, storage = kind.lower(), ""
    shorts: tuple[str, ...] = ()
    categories: list[str] = []
    subresources: dict[str, SubresourceInfo] = {}
    for word in words:
        rest = word[1:]
        match word[0]:
            case "=":
                singular = rest
            case "~":
                storage = rest
            case "#":
                categories.append(rest)
            case "/":
                made = _subresource(of, kind, rest)
                subresources[made.name] = made
            case _:
                shorts = tuple(word.split(","))
    return ResourceInfo(
        group=of.group,
        version=of.version,
        plural=plural.lstrip("!"),
        singular=singular,
        kind=kind,
        namespaced=not plural.startswith("!"),
        verbs=verbs,
        schema_type=f"{of.package}.{kind}",
        short_names=shorts,
        categories=tuple(categories),
        subresources=subresources,
        storage_version=storage,
    )


def _verbs(text: str, otherwise: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    name, _, letters = text.partition(":")
    return name, tuple(_LETTERS[c] for c in letters) if letters else otherwise


def _subresource(of: GroupVersionInfo, own_kind: str, text: str) -> SubresourceInfo:
    text, verbs = _verbs(text, _SUBRESOURCE_VERBS)
    name, _, kind = text.partition("=")
    if "/" not in kind:
        return SubresourceInfo(
            name, GroupVersionKind(of.group, of.version, kind or own_kind), verbs
        )
    api_version, _, kind = kind.rpartition("/")
    group, _, version = api_version.rpartition("/")
    return SubresourceInfo(name, GroupVersionKind(group, version, kind), verbs)


_LOADED: Final = load(resources.files("tiphys.api").joinpath("resources.txt").read_text("utf-8"))
GROUP_VERSIONS: Final[tuple[GroupVersionInfo, ...]] = _LOADED[0]
RESOURCES: Final[tuple[ResourceInfo, ...]] = _LOADED[1]
_BY_GVR: Final[Mapping[GroupVersionResource, ResourceInfo]] = {r.gvr: r for r in RESOURCES}
_BY_GVK: Final[Mapping[GroupVersionKind, ResourceInfo]] = {r.gvk: r for r in RESOURCES}

# The schema's packages are named after upstream's directories, not after the group's DNS name.
_PACKAGES: Final = {(g.group, g.version): g.package for g in GROUP_VERSIONS}


def resource(group: str, version: str, plural: str) -> ResourceInfo | None:
    """The built-in resource of a path, or None."""
    return _BY_GVR.get(GroupVersionResource(group, version, plural))


def built_in(group: str, version: str, plural: str) -> ResourceInfo:
    """A resource that must be there. Raises KeyError."""
    return _BY_GVR[GroupVersionResource(group, version, plural)]


def by_kind(gvk: tuple[str, str, str]) -> ResourceInfo | None:
    """The built-in resource whose objects have this group, version and kind, or None."""
    return _BY_GVK.get(GroupVersionKind(*gvk))


def schema_package(group: str, version: str) -> str:
    """`core.v1` for ("", "v1"), or "" where the group and version are not built in."""
    return _PACKAGES.get((group, version), "")
