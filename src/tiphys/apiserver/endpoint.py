"""One served resource: its kind's rules, its cache, and where its objects are kept."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import orjson

from tiphys.api.meta import Obj
from tiphys.api.resources import ResourceInfo
from tiphys.apiserver.custom_kind import CustomKind
from tiphys.apiserver.resources.resource import Resource
from tiphys.storage.cached_object import CachedObject, encode_head
from tiphys.storage.store import Store, resource_prefix
from tiphys.storage.watch_cache import WatchCache

Convert = Callable[[Obj], Obj]


@dataclass(frozen=True, slots=True)
class Conversion:
    """A kind that is stored in another version: to the stored form and back."""

    group: str
    version: str
    plural: str
    to_stored: Convert
    from_stored: Convert
    stored_fields: Mapping[str, str] = field(default_factory=dict)  # Selectable, by their names.


@dataclass(slots=True)
class Endpoint:
    """See the module. `head` begins every object in this version."""

    resource: Resource
    cache: WatchCache
    conversion: Conversion | None = None
    custom: CustomKind | None = None
    head: bytes = b""
    list_head: bytes = b""
    _converted: dict[str, tuple[bytes, CachedObject]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        info = self.info
        self.head = encode_head(info.gvk.api_version, info.kind)
        self.list_head = encode_head(info.gvk.api_version, self.list_kind)

    @property
    def list_kind(self) -> str:
        return self.custom.list_kind if self.custom else f"{self.info.kind}List"

    @property
    def item_head(self) -> bytes:
        """What an item of a list begins with: those of built-in kinds do not say what they are."""
        return self.head if self.custom else b"{"

    @property
    def info(self) -> ResourceInfo:
        return self.resource.info

    def key(self, namespace: str, name: str) -> str:
        if self.resource.info.namespaced:
            return f"{self.cache.prefix}{namespace}/{name}"
        return f"{self.cache.prefix}{name}"

    def collection(self, namespace: str) -> str:
        """What the keys of a namespace (or, empty, of all) begin with."""
        return f"{self.cache.prefix}{namespace}/" if namespace else self.cache.prefix

    def decode(self, cached: CachedObject) -> Obj:
        """A fresh object in this endpoint's version."""
        obj = cached.decode(self.cache.head)
        return self.conversion.from_stored(obj) if self.conversion else obj

    def shown(self, cached: CachedObject) -> CachedObject:
        """The object's tail in this endpoint's version; conversions are kept by their source.

        A dry run makes another object of the same revision.
        """
        if self.conversion is None:
            return cached
        known = self._converted.get(cached.key)
        if known is not None and known[1].revision == cached.revision and known[0] == cached.tail:
            return known[1]
        obj = self.decode(cached)
        tail = encode_tail(obj)
        same = tail == cached.tail  # Bytes that are alike are kept once.
        made = cached if same else CachedObject(cached.key, cached.revision, tail)
        if len(self._converted) >= CONVERTED_MAX:
            self._converted.clear()
        self._converted[cached.key] = (cached.tail, made)
        return made

    def to_stored(self, obj: Obj) -> Obj:
        return self.conversion.to_stored(obj) if self.conversion else obj


CONVERTED_MAX = 10_000  # Converted objects kept per resource.


def encode_tail(obj: Mapping[str, object]) -> bytes:
    """What follows kind and apiVersion, with metadata first."""
    rest = {"metadata": obj["metadata"]}
    rest |= {k: v for k, v in obj.items() if k not in {"kind", "apiVersion", "metadata"}}
    return orjson.dumps(rest)[1:]


def make_index(
    resource: Resource,
) -> Callable[[Obj], tuple[Mapping[str, str], Mapping[str, str]]]:
    """Reads an object's labels and selectable fields."""
    namespaced = resource.info.namespaced
    selectable = resource.selectable_fields

    def index(obj: Obj) -> tuple[Mapping[str, str], Mapping[str, str]]:
        metadata = obj["metadata"]
        fields = {name: read(obj) for name, read in selectable.items()}
        fields["metadata.name"] = metadata.get("name", "")
        if namespaced:
            fields["metadata.namespace"] = metadata.get("namespace", "")
        return metadata.get("labels") or {}, fields

    return index


def add_endpoint(store: Store, resource: Resource) -> Endpoint:
    """An endpoint for a resource that is stored as it is served."""
    info = resource.info
    head = encode_head(info.gvk.api_version, info.kind)
    cache = store.add_cache(info.group, info.plural, head, make_index(resource))
    return Endpoint(resource, cache)


__all__ = ["Conversion", "Endpoint", "add_endpoint", "encode_tail", "make_index", "resource_prefix"]
