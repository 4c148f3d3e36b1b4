"""The policies of a cluster with their bindings, compiled when they are first needed.

Upstream: apiserver/pkg/admission/plugin/policy/generic (policy_source.go, policy_matcher.go).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

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


class Policy(Protocol):
    """A policy, compiled."""

    @property
    def name(self) -> str: ...

    @property
    def obj(self) -> Obj: ...


Compiled = TypeVar("Compiled", bound=Policy)


@dataclass(frozen=True, slots=True)
class Call(Generic[Compiled]):
    """A policy to ask, with what its expressions see; or why it cannot be asked.

    `version`: the one in which it wants to see the object.
    """

    policy: Compiled
    binding: Obj
    version: str
    known: Mapping[str, Any]
    error: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from others of the same request."""
        param = self.known.get("params") or {}
        metadata = param.get("metadata") or {}
        named = f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"
        return self.policy.name, self.binding["metadata"]["name"], named


class Hooks(Generic[Compiled]):
    """Policies of one kind, and what binds them."""

    def __init__(
        self,
        policies: WatchCache,
        bindings: WatchCache,
        make: Callable[[Obj], Compiled],
        authorizer: RbacAuthorizer,
    ) -> None:
        self._policies = Kept(policies, make)
        self._bindings: Kept[Obj] = Kept(bindings, lambda binding: binding)
        self._authorizer = authorizer

    def calls(
        self, write: Write, endpoints: Endpoints, namespaces: WatchCache
    ) -> Iterator[Call[Compiled]]:
        """Each binding of each policy that is for this request, with each of its parameters."""
        subject = subject_of(write, endpoints, namespaces)
        if subject.is_exempt:
            return
        for policy in self._policies.all():
            version = matched_version(policy.obj["spec"].get("matchConstraints"), subject)
            if not version:
                continue
            for binding in self._bindings.all():
                spec = binding["spec"]
                is_its = spec["policyName"] == policy.name
                if not is_its or not matched_version(spec.get("matchResources"), subject):
                    continue
                try:
                    params = params_of(policy.obj, binding, subject.namespace, endpoints)
                except ParamError as error:
                    why = f"failed to configure binding: {error}"
                    yield Call(policy, binding, version, {}, why)
                    continue
                namespace = namespace_of(write, namespaces)
                known = variables_of(write, subject, version, namespace, self._authorizer)
                for param in params:
                    yield Call(policy, binding, version, known | {"params": param})


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
