"""The built-in resources: one line each, parsed into ResourceInfo.

Upstream: api/discovery/*.json and pkg/registry/*/storage (short names, categories, verbs).
"""

from dataclasses import dataclass, field
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

    @property
    def gvr(self) -> GroupVersionResource:
        return GroupVersionResource(self.group, self.version, self.plural)

    @property
    def gvk(self) -> GroupVersionKind:
        return GroupVersionKind(self.group, self.version, self.kind)
