"""Pods by namespace, one index for all controllers of the process."""

from collections.abc import Callable
from weakref import WeakKeyDictionary

from tiphys.api.meta import Obj, ObjectKey, key_of, labels_of, namespace_of
from tiphys.client.informer import Informer


class PodsByNamespace:
    def __init__(self, informer: Informer) -> None:
        self._by_namespace: dict[str, dict[ObjectKey, Obj]] = {}
        informer.on_change(self._changed)

    def all(self, namespace: str) -> list[Obj]:
        return list(self._by_namespace.get(namespace, {}).values())

    def matching(self, namespace: str, matches: Callable[[dict[str, str]], bool]) -> list[Obj]:
        """The pods of a namespace whose labels match."""
        found = self._by_namespace.get(namespace, {}).values()
        return [pod for pod in found if matches(labels_of(pod))]

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        pod = new or old
        assert pod is not None
        bucket = self._by_namespace.setdefault(namespace_of(pod), {})
        if new is None:
            bucket.pop(key_of(pod), None)
            if not bucket:
                del self._by_namespace[namespace_of(pod)]
        else:
            bucket[key_of(pod)] = new


_INDEXES: WeakKeyDictionary[Informer, PodsByNamespace] = WeakKeyDictionary()


def pods_by_namespace(informer: Informer) -> PodsByNamespace:
    """The one index of the pods' informer."""
    if (found := _INDEXES.get(informer)) is None:
        found = _INDEXES[informer] = PodsByNamespace(informer)
    return found
