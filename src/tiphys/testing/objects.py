"""The cluster's objects for a test that is not asynchronous: create, get, change, delete.

Kinds are named as for kubectl: `pod`, `pods`, `po`, `deployment.apps`, custom ones too. Everything
goes through the API server as the administrator; errors are its ApiErrors, or LookupError for a
kind that nobody serves.
"""

from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from tiphys.api.errors import NotFound
from tiphys.api.meta import Obj, name_of, namespace_of
from tiphys.client.rest import Client, PatchKind, path_of
from tiphys.testing.kinds import kind_named, kind_of

Call = Callable[[Coroutine[Any, Any, Any]], Any]
"""Runs a coroutine in the cluster's loop; returns its result."""
Many = list[Obj]
Names = list[str]


def manifests(given: str | Obj | Iterable[Obj]) -> Many:
    """Objects as they are, or from YAML text of one or several documents."""
    if isinstance(given, str):
        import yaml

        return [obj for obj in yaml.load_all(given, Loader=yaml.CSafeLoader) if obj]
    return [given] if isinstance(given, dict) else list(given)


class Objects:
    """See the module. namespace: where a namespaced object is; `list` takes "" for all."""

    def __init__(self, client: Client, call: Call) -> None:
        self._client = client
        self._call = call

    def create(self, given: str | Obj | Iterable[Obj], *, namespace: str = "default") -> Many:
        """Create all objects, in order; namespace: for those that name none."""
        return [self._call(self._create(obj, namespace)) for obj in manifests(given)]

    def get(self, kind: str, name: str, *, namespace: str = "default") -> Obj:
        found: Obj = self._call(self._get(kind, name, namespace))
        return found

    def find(self, kind: str, name: str, *, namespace: str = "default") -> Obj | None:
        """As `get`, but None where it is not."""
        try:
            return self.get(kind, name, namespace=namespace)
        except NotFound:
            return None

    def list(self, kind: str, *, namespace: str = "default", label_selector: str = "") -> Many:
        found: Many = self._call(self._list(kind, namespace, label_selector))
        return found

    def names(self, kind: str, *, namespace: str = "default") -> Names:
        """The names of a kind's objects, sorted."""
        return sorted(map(name_of, self.list(kind, namespace=namespace)))

    def update(self, obj: Obj) -> Obj:
        """Write the object as it is given; its resourceVersion must be current."""
        found: Obj = self._call(self._update(obj))
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
        found: Obj = self._call(self._patch(kind, name, patch, namespace, subresource, how))
        return found

    def scale(self, kind: str, name: str, replicas: int, *, namespace: str = "default") -> None:
        self.patch(kind, name, {"spec": {"replicas": replicas}}, namespace=namespace)

    def delete(self, kind: str, name: str, *, namespace: str = "default") -> None:
        """Dependents go too, afterwards, as for kubectl."""
        self._call(self._delete(kind, name, namespace))

    async def _create(self, obj: Obj, namespace: str) -> Obj:
        kind = await kind_of(self._client, obj)
        where = (namespace_of(obj) or namespace) if kind.is_namespaced else ""
        return await self._client.request("POST", path_of(kind.gvr, where), obj)

    async def _get(self, name_of_kind: str, name: str, namespace: str) -> Obj:
        kind = await kind_named(self._client, name_of_kind)
        return await self._client.get(kind.gvr, name, namespace if kind.is_namespaced else "")

    async def _list(self, name_of_kind: str, namespace: str, selector: str) -> Many:
        kind = await kind_named(self._client, name_of_kind)
        where = namespace if kind.is_namespaced else ""
        answer = await self._client.list(kind.gvr, where, label_selector=selector)
        items: Many = answer["items"]
        return items

    async def _update(self, obj: Obj) -> Obj:
        kind = await kind_of(self._client, obj)
        return await self._client.update(kind.gvr, obj)

    async def _patch(
        self,
        name_of_kind: str,
        name: str,
        patch: Any,
        namespace: str,
        subresource: str,
        how: PatchKind,
    ) -> Obj:
        kind = await kind_named(self._client, name_of_kind)
        where = namespace if kind.is_namespaced else ""
        return await self._client.patch(kind.gvr, name, patch, where, subresource, kind=how)

    async def _delete(self, name_of_kind: str, name: str, namespace: str) -> None:
        kind = await kind_named(self._client, name_of_kind)
        where = namespace if kind.is_namespaced else ""
        await self._client.delete(kind.gvr, name, where, propagation="Background")
