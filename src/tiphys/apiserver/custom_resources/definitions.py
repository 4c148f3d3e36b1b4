"""Follows the CustomResourceDefinitions: says which are established, serves what they define.

Every API server does so for itself, from its watch cache: several on one store agree, because what
they write follows from what is stored, and the first one's write is the others' next event.
Upstream: apiextensions-apiserver pkg/apiserver/customresource_handler.go, pkg/controller.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from tiphys.api.meta import Obj, at
from tiphys.api.resources import GROUP_VERSIONS, GroupVersionInfo, ResourceInfo
from tiphys.apiserver.custom_resources import finalizing
from tiphys.apiserver.custom_resources.custom_version import (
    CustomVersion,
    version_rank,
)
from tiphys.apiserver.custom_resources.naming import is_true, status_of
from tiphys.apiserver.custom_resources.openapi import CustomDocuments
from tiphys.apiserver.custom_resources.registration import register
from tiphys.apiserver.deletion import DeleteOptions, plan_delete
from tiphys.apiserver.endpoint import Conversion, Endpoint
from tiphys.storage.backend import Event, RevisionMismatch
from tiphys.storage.cached_object import CachedObject, encode_head, encode_value
from tiphys.storage.store import resource_prefix
from tiphys.storage.watch_cache import Index, WatchCache

if TYPE_CHECKING:
    from tiphys.apiserver.server import ApiServer

log = logging.getLogger(__name__)

GROUP_PRIORITY: Final = 1000  # Of the APIServices that upstream makes for definitions.
SETTLE_SECONDS_MAX: Final = 2.0  # Reading a definition takes milliseconds.
_BUILT_IN: Final = frozenset((v.group, v.version) for v in GROUP_VERSIONS)
Key = tuple[str, str, str]


class Definitions:
    """See the module. `versions` are what discovery and OpenAPI show."""

    def __init__(self, server: "ApiServer") -> None:
        self._server = server
        self._endpoint = server.endpoints["apiextensions.k8s.io", "v1", "customresourcedefinitions"]
        self._prefix = self._endpoint.cache.prefix
        self._caches: dict[str, WatchCache] = {}  # By the definition's name.
        self._served: dict[str, tuple[Obj, list[Key]]] = {}
        self._settled_at: dict[str, int] = {}  # Revisions at which nothing was left to do.
        self._names: dict[str, tuple[int, Obj]] = {}
        self._waiting: tuple[str, ...] = ()  # Prefixes of objects that must go.
        self._registered: list[GroupVersionInfo] | None = None  # Not looked at yet.
        self._changed = asyncio.Event()
        self._settled = asyncio.Event()
        self.versions: dict[Key, CustomVersion] = {}
        self.documents = CustomDocuments()

    def follow(self, events: Sequence[Event]) -> None:
        """A listener of the store."""
        if any(event.key.startswith((self._prefix, *self._waiting)) for event in events):
            self._changed.set()
            self._settled.clear()

    async def settled(self) -> None:
        """Return once everything is up to the last event, or SETTLE_SECONDS_MAX have passed."""
        try:
            async with asyncio.timeout(SETTLE_SECONDS_MAX):
                await self._settled.wait()
        except TimeoutError:
            return

    async def run(self) -> None:
        """Until cancelled."""
        self._changed.set()
        while True:
            await self._changed.wait()
            await self.sync()
            if not self._changed.is_set():
                self._settled.set()

    async def sync(self) -> None:
        """Bring everything up to the definitions of now. Raises StorageError."""
        self._changed.clear()
        cache = self._endpoint.cache
        waiting = []
        for key in list(cache.keys(cache.prefix)):
            cached = cache.get(key)
            if cached is None or self._settled_at.get(key) == cached.revision:
                continue  # Nothing of it can have changed.
            definition = await self._named(key, self._endpoint.decode(cached))
            await self._serve(definition)
            if is_true(definition, "NamesAccepted") and not finalizing.is_terminating(definition):
                self._settled_at[key] = int(definition["metadata"]["resourceVersion"])
            if finalizing.waits_for_objects(definition):
                spec = definition["spec"]
                waiting.append(resource_prefix(spec["group"], spec["names"]["plural"]))
                self._waiting = tuple(waiting)
                await self._clean(key, definition)
        self._waiting = tuple(waiting)
        there = {key.rpartition("/")[2] for key in cache.objects}
        for name in self._served.keys() - there:
            self._forget(name)
        for known in (self._settled_at, self._names):
            for key in known.keys() - cache.objects.keys():
                del known[key]
        groups = self.group_versions()
        if groups != self._registered:
            await register(self._server, groups)
            self._registered = groups

    def _decoded(self, key: str) -> Obj | None:
        cached = self._endpoint.cache.get(key)
        return None if cached is None else self._endpoint.decode(cached)

    # --- names and conditions

    async def _named(self, key: str, definition: Obj) -> Obj:
        """With the conditions of now, which are written where they are new."""
        objects = self._endpoint.cache.objects
        others = [self._names_of(k, cached) for k, cached in objects.items() if k != key]
        now = self._server.clock.now()
        status = status_of(definition, others, now)
        if status == definition.get("status"):
            return definition
        new = definition | {"status": status}
        if is_true(new, "Established"):
            # Served before it says so: who waits for the condition may ask at once.
            await self._serve(new)
        return await self._write(key, definition, new)

    def _names_of(self, key: str, cached: CachedObject) -> Obj:
        """Of another definition: what its names are compared by, kept by its revision."""
        known = self._names.get(key)
        if known is None or known[0] != cached.revision:
            definition = self._endpoint.decode(cached)
            group, names = definition["spec"]["group"], at(definition, "status", "acceptedNames")
            small = {"spec": {"group": group}, "status": {"acceptedNames": names or {}}}
            known = self._names[key] = (cached.revision, small)
        return known[1]

    async def _write(self, key: str, old: Obj, new: Obj) -> Obj:
        """As it is stored then; another writer's object stays, and is looked at next."""
        revision = int(old["metadata"]["resourceVersion"])
        try:
            written = await self._server.store.update(
                self._endpoint.cache, key, encode_value(new), revision
            )
        except RevisionMismatch:
            self._changed.set()
            return self._decoded(key) or old
        return self._endpoint.decode(written)

    # --- endpoints

    async def _serve(self, definition: Obj) -> None:
        """Endpoints for each served version, once the names are accepted."""
        name = definition["metadata"]["name"]
        if not is_true(definition, "Established"):
            return
        essence = _essence(definition)
        known = self._served.get(name)
        if known is not None and known[0] == essence:
            return
        accepted = definition["status"]["acceptedNames"]
        made = {
            v.info.gvr: v
            for version in definition["spec"]["versions"]
            if version.get("served") and (v := CustomVersion(definition, version, accepted))
        }
        stored = next(v for v in definition["spec"]["versions"] if v.get("storage"))
        kept = CustomVersion(definition, stored, accepted)
        head = encode_head(kept.info.gvk.api_version, kept.info.kind)
        cache = await self._cache(name, kept.info, head, _index([*made.values(), kept]))
        if known is not None:
            cache.reshape(head, _index([*made.values(), kept]))
            self._remove(name)
        keys: list[Key] = []
        for (group, version, plural), one in made.items():
            if (group, version) not in _BUILT_IN:
                keys.append((group, version, plural))
                self._server.endpoints[group, version, plural] = _endpoint(one, kept, cache)
                self.versions[group, version, plural] = one
        self._served[name] = (essence, keys)
        self._announce()

    async def _cache(self, name: str, info: ResourceInfo, head: bytes, index: Index) -> WatchCache:
        cache = self._caches.get(name)
        if cache is None:
            cache = await self._server.store.open_cache(info.group, info.plural, head, index)
            self._caches[name] = cache
        return cache

    def _remove(self, name: str) -> None:
        _, keys = self._served.pop(name)
        for key in keys:
            self._server.endpoints.pop(key, None)
            self.versions.pop(key, None)

    def _forget(self, name: str) -> None:
        """The definition is gone."""
        self._remove(name)
        cache = self._caches.pop(name, None)
        if cache is not None:
            self._server.store.close_cache(cache)
        self._announce()

    def _announce(self) -> None:
        self.documents.forget(self.versions)
        self._server.kinds_changed()

    # --- the end

    async def _clean(self, key: str, definition: Obj) -> None:
        """Delete the objects; once none is left, the definition."""
        store, now = self._server.store, self._server.clock.now()
        cache = self._caches.get(definition["metadata"]["name"])
        for cached in list(cache.objects.values()) if cache is not None else ():
            assert cache is not None
            obj = cached.decode(cache.head)
            if obj["metadata"].get("deletionTimestamp"):
                continue  # Its finalizers are others' work.
            left = plan_delete(obj, DeleteOptions(), now)
            try:
                if left is None:
                    await store.delete(cache, cached.key, cached.revision)
                else:
                    await store.update(cache, cached.key, encode_value(left), cached.revision)
            except RevisionMismatch:
                self._changed.set()
        if cache is not None and cache.objects:
            new = finalizing.running(definition, now)
            if new != definition:
                await self._write(key, definition, new)
            return
        new = finalizing.finished(definition, now)
        if new["metadata"].get("finalizers"):
            await self._write(key, definition, new)
            return
        try:
            revision = int(definition["metadata"]["resourceVersion"])
            await store.delete(self._endpoint.cache, key, revision)
        except RevisionMismatch:
            self._changed.set()

    # --- what discovery shows

    def group_versions(self) -> list[GroupVersionInfo]:
        """The best version of a group has the highest priority."""
        found = sorted({key[:2] for key in self.versions}, key=lambda k: (k[0], version_rank(k[1])))
        return [
            GroupVersionInfo(group, version, "", GROUP_PRIORITY, rank)
            for rank, (group, version) in enumerate(found, start=1)
        ]

    def infos(self) -> list[ResourceInfo]:
        return [version.info for _, version in sorted(self.versions.items())]


def _essence(definition: Obj) -> Obj:
    """What endpoints are made of."""
    return {
        "spec": definition["spec"],
        "names": at(definition, "status", "acceptedNames"),
        "uid": definition["metadata"].get("uid"),
        "terminating": finalizing.is_terminating(definition),
    }


def _endpoint(version: CustomVersion, kept: CustomVersion, cache: WatchCache) -> Endpoint:
    stored_as = kept.info.gvk.api_version

    def to_stored(obj: Obj) -> Obj:
        return obj | {"apiVersion": stored_as}

    info = kept.info
    conversion = Conversion(info.group, info.version, info.plural, to_stored, version.from_stored)
    return Endpoint(version.resource(), cache, conversion, version)


def _index(versions: Sequence[CustomVersion]) -> Index:
    """Labels, and the fields that any of the versions selects by."""
    readers: dict[str, Callable[[Obj], str]] = {}
    for version in versions:
        readers |= version.selectable_fields()
    kept = versions[-1]
    namespaced = kept.info.namespaced

    def index(obj: Obj) -> tuple[Mapping[str, str], Mapping[str, str]]:
        metadata = obj["metadata"]
        shown = kept.from_stored(obj) if readers else obj
        fields = {name: read(shown) for name, read in readers.items()}
        fields["metadata.name"] = metadata.get("name", "")
        if namespaced:
            fields["metadata.namespace"] = metadata.get("namespace", "")
        return metadata.get("labels") or {}, fields

    return index
