"""Which resource a kind's name means: the built-in ones by their table, others by discovery.

Upstream: kubectl's RESTMapper (client-go restmapper).
"""

from typing import NamedTuple

from tiphys.api.errors import ApiError
from tiphys.api.meta import GroupVersionResource, Obj
from tiphys.api.resources import RESOURCES
from tiphys.client.rest import Client


class Kind(NamedTuple):
    """A resource that is served."""

    gvr: GroupVersionResource
    kind: str
    is_namespaced: bool
    names: tuple[str, ...]  # plural, singular, kind and short names, in lower case

    def is_meant(self, name: str) -> bool:
        """Whether `pods`, `po` or `deployment.apps` means it."""
        wanted, _, group = name.lower().partition(".")
        return wanted in self.names and group in ("", self.gvr.group)


BUILT_IN = tuple(
    Kind(
        info.gvr,
        info.kind,
        info.namespaced,
        (info.plural, info.singular, info.kind.lower(), *info.short_names),
    )
    for info in RESOURCES
)


async def kind_named(client: Client, name: str) -> Kind:
    """Raises LookupError for a name that nothing served has."""
    for kind in (*BUILT_IN, *await _discovered(client, name, BUILT_IN)):
        if kind.is_meant(name):
            return kind
    raise LookupError(f'there is no kind "{name}": name it as for kubectl, like pod or deployment')


async def kind_of(client: Client, obj: Obj) -> Kind:
    """The resource of an object's apiVersion and kind. Raises LookupError."""
    group, _, version = str(obj.get("apiVersion", "")).rpartition("/")
    for kind in (*BUILT_IN, *await _served(client, group, version)):
        if (*kind.gvr[:2], kind.kind) == (group, version, obj.get("kind")):
            return kind
    raise LookupError(f"no API serves kind {obj.get('kind')!r} of {obj.get('apiVersion')!r}")


async def _discovered(client: Client, name: str, known: tuple[Kind, ...]) -> list[Kind]:
    """What the server tells of other groups, where the name is none of those known."""
    if any(kind.is_meant(name) for kind in known):
        return []
    groups = await client.request("GET", "/apis")
    found: list[Kind] = []
    for group in groups["groups"]:
        found += await served(client, group["name"], group["preferredVersion"]["version"])
    return found


async def _served(client: Client, group: str, version: str) -> list[Kind]:
    if any(kind.gvr[:2] == (group, version) for kind in BUILT_IN):
        return []
    try:
        return await served(client, group, version)
    except ApiError:
        return []


async def served(client: Client, group: str, version: str) -> list[Kind]:
    """The resources of a group's version, from discovery. Raises ApiError."""
    path = f"/apis/{group}/{version}" if group else f"/api/{version}"
    listed = await client.request("GET", path)
    return [
        Kind(
            GroupVersionResource(group, version, found["name"]),
            found["kind"],
            found["namespaced"],
            (
                found["name"],
                found["singularName"],
                found["kind"].lower(),
                *found.get("shortNames", ()),
            ),
        )
        for found in listed["resources"]
        if "/" not in found["name"]
    ]
