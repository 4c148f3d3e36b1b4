"""The policies of a cluster with their bindings, compiled when they are first needed.

Upstream: apiserver/pkg/admission/plugin/policy/generic (policy_source.go, policy_matcher.go).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tiphys.api.meta import Obj, labels_of
from tiphys.apiserver.admission.chain import Write
from tiphys.apiserver.endpoint import Endpoint
from tiphys.apiserver.filters.authorization import RbacAuthorizer
from tiphys.apiserver.policies.activation import variables_of
from tiphys.apiserver.policies.matching import Subject, matched_version
from tiphys.apiserver.policies.params import ParamError, params_of
from tiphys.storage.watch_cache import WatchCache

Made = TypeVar("Made")
Endpoints = Mapping[tuple[str, str, str], Endpoint]


class Kept(Generic[Made]):
    """What was made of cached objects, until they change."""

    def __init__(self, cache: WatchCache, make: Callable[[Obj], Made]) -> None:
        self._cache = cache
        self._make = make
        self._made: dict[str, tuple[int, Made]] = {}

    def all(self) -> Iterator[Made]:
        objects = self._cache.objects
        for gone in self._made.keys() - objects.keys():
            del self._made[gone]
        for key, cached in sorted(objects.items()):
            known = self._made.get(key)
            if known is None or known[0] != cached.revision:
                known = cached.revision, self._make(cached.decode(self._cache.head))
                self._made[key] = known
            yield known[1]


@dataclass(frozen=True, slots=True)
class Call(Generic[Made]):
    """A policy to ask, with what its expressions see; or why it cannot be asked."""

    policy: Made
    binding: Obj
    known: Mapping[str, Any]
    error: str = ""


def subject_of(write: Write, endpoints: Endpoints, namespaces: WatchCache) -> Subject:
    info = write.info
    shown = write.obj or write.old or {}
    metadata = shown.get("metadata") or {}
    others = [
        version
        for group, version, resource in endpoints
        if (group, resource) == (info.group, info.resource) and version != info.version
    ]
    return Subject(
        operation=write.operation,
        group=info.group,
        versions=(info.version, *others),
        resource=info.resource,
        subresource=info.subresource,
        namespace="" if info.resource == "namespaces" and not info.group else info.namespace,
        name=metadata.get("name") or info.name,
        namespace_labels=_namespace_labels(write, namespaces),
        object_labels=[labels_of(obj) for obj in (write.obj, write.old) if obj is not None],
    )


def _namespace_labels(write: Write, namespaces: WatchCache) -> Mapping[str, str] | None:
    """A namespace's own labels count for itself."""
    info = write.info
    if (info.group, info.resource) == ("", "namespaces"):
        obj = write.obj or write.old
        return labels_of(obj) if obj is not None and not info.subresource else {}
    if not info.namespace:
        return None
    found = namespace_of(write, namespaces)
    return labels_of(found) if found is not None else {}


def namespace_of(write: Write, namespaces: WatchCache) -> Obj | None:
    info = write.info
    if not info.namespace or info.resource == "namespaces":
        return None
    cached = namespaces.get(namespaces.prefix + info.namespace)
    return cached.decode(namespaces.head) if cached is not None else None


def calls(
    policy: Obj,
    compiled: Made,
    bindings: list[Obj],
    write: Write,
    subject: Subject,
    endpoints: Endpoints,
    namespaces: WatchCache,
    authorizer: RbacAuthorizer,
) -> Iterator[Call[Made]]:
    """Each binding of a policy that is for this request, with each of its parameters."""
    version = matched_version(policy["spec"].get("matchConstraints"), subject)
    if not version:
        return
    for binding in bindings:
        if not matched_version(binding["spec"].get("matchResources"), subject):
            continue
        try:
            params = params_of(policy, binding, subject.namespace, endpoints)
        except ParamError as error:
            yield Call(compiled, binding, {}, f"failed to configure binding: {error}")
            continue
        namespace = namespace_of(write, namespaces)
        known = variables_of(write, subject, version, namespace, authorizer)
        for param in params:
            yield Call(compiled, binding, known | {"params": param})
