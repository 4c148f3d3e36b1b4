"""The cluster's objects for a test that is not asynchronous: create, get, change, delete.

Kinds are named as for kubectl: `pod`, `pods`, `po`, `deployment.apps`. Everything goes through the
API server as the administrator; errors are its ApiErrors.
"""

from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from tiphys.api.meta import Obj, name_of, namespace_of
from tiphys.api.resources import RESOURCES, ResourceInfo
from tiphys.client.rest import Client, PatchKind, path_of

Call = Callable[[Coroutine[Any, Any, Any]], Any]
"""Runs a coroutine in the cluster's loop; returns its result."""
Many = list[Obj]
Names = list[str]


def info_of(kind: str) -> ResourceInfo:
    """The resource of a kind's name. Raises LookupError."""
    wanted, _, group = kind.lower().partition(".")
    for info in RESOURCES:
        names = (info.plural, info.singular, info.kind.lower(), *info.short_names)
        if wanted in names and (not group or info.group == group):
            return info
    raise LookupError(f'there is no kind "{kind}": name it as for kubectl, like pod or deployment')


def info_of_object(obj: Obj) -> ResourceInfo:
    """The resource of an object's apiVersion and kind. Raises LookupError."""
    group, _, version = str(obj.get("apiVersion", "")).rpartition("/")
    for info in RESOURCES:
        if (info.group, info.version, info.kind) == (group, version, obj.get("kind")):
            return info
    raise LookupError(f"no API serves kind {obj.get('kind')!r} of {obj.get('apiVersion')!r}")


def manifests(given: str | Obj | Iterable[Obj]) -> list[Obj]:
    """Objects as they are, or from YAML text of one or several documents."""
    if isinstance(given, str):
        import yaml

        return [obj for obj in yaml.load_all(given, Loader=yaml.CSafeLoader) if obj]
    return [given] if isinstance(given, dict) else list(given)


class Objects:
    """See the module."""

    def __init__(self, client: Client, call: Call) -> None:
        self._client = client
        self._call = call

    def create(self, given: str | Obj | Iterable[Obj], *, namespace: str = "default") -> Many:
        """Create all objects, in order; namespace: for those that name none."""
        return [self._create(obj, namespace) for obj in manifests(given)]

    def get(self, kind: str, name: str, *, namespace: str = "default") -> Obj:
        info = info_of(kind)
        where = namespace if info.namespaced else ""
        found: Obj = self._call(self._client.get(info.gvr, name, where))
        return found

    def list(self, kind: str, *, namespace: str = "default", label_selector: str = "") -> Many:
        """namespace: "" for all."""
        info = info_of(kind)
        where = namespace if info.namespaced else ""
        answer = self._call(self._client.list(info.gvr, where, label_selector=label_selector))
        items: Many = answer["items"]
        return items

    def update(self, obj: Obj) -> Obj:
        """Write the object as it is given; its resourceVersion must be current."""
        info = info_of_object(obj)
        found: Obj = self._call(self._client.update(info.gvr, obj))
        return found

    def patch(
        self,
        kind: str,
        name: str,
        patch: Any,
        *,
        namespace: str = "default",
        subresource: str = "",
        how: PatchKind = "merge",
    ) -> Obj:
        info = info_of(kind)
        where = namespace if info.namespaced else ""
        changed = self._client.patch(info.gvr, name, patch, where, subresource, kind=how)
        found: Obj = self._call(changed)
        return found

    def scale(self, kind: str, name: str, replicas: int, *, namespace: str = "default") -> None:
        self.patch(kind, name, {"spec": {"replicas": replicas}}, namespace=namespace)

    def delete(self, kind: str, name: str, *, namespace: str = "default") -> None:
        info = info_of(kind)
        where = namespace if info.namespaced else ""
        # What kubectl asks for: dependents go, afterwards.
        self._call(self._client.delete(info.gvr, name, where, propagation="Background"))

    def _create(self, obj: Obj, namespace: str) -> Obj:
        info = info_of_object(obj)
        where = (namespace_of(obj) or namespace) if info.namespaced else ""
        path = path_of(info.gvr, where)
        found: Obj = self._call(self._client.request("POST", path, obj))
        return found

    def names(self, kind: str, *, namespace: str = "default") -> Names:
        """The names of a kind's objects, sorted."""
        return sorted(map(name_of, self.list(kind, namespace=namespace)))
