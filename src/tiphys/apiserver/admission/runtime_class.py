"""RuntimeClass: a pod gets the overhead, node selector and tolerations of its class.

Upstream: plugin/pkg/admission/runtimeclass/admission.go, pkg/util/tolerations/tolerations.go.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from tiphys.api import quantity
from tiphys.api.meta import Obj, at
from tiphys.apiserver.admission.chain import Resources, Write
from tiphys.apiserver.admission.refusal import refuse
from tiphys.storage.watch_cache import WatchCache

_MISMATCH: Final = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
_NO_CLASS: Final = (
    "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
)


class RuntimeClass:
    name = "RuntimeClass"
    resources: Resources = frozenset({("", "pods")})

    def __init__(self, classes: WatchCache) -> None:
        self._classes = classes

    def mutate(self, write: Write) -> None:
        """Raises Forbidden for a class that is not there or contradicts the pod."""
        if write.obj is None or not _is_new_pod(write):
            return
        found = self._class_of(write, write.obj)
        if found is None:
            return
        spec: Obj = write.obj["spec"]
        overhead = at(found, "overhead", "podFixed")
        if overhead is not None:
            given = spec.get("overhead")
            if given is not None and not _same(given, overhead):
                raise refuse(write, _MISMATCH)
            spec["overhead"] = overhead
        if found.get("scheduling"):
            _schedule(write, spec, found["scheduling"])

    def validate(self, write: Write) -> None:
        """Raises Forbidden for an overhead that is not the class's."""
        if write.obj is None or not _is_new_pod(write):
            return
        found = self._class_of(write, write.obj)
        given = at(write.obj, "spec", "overhead")
        wanted = at(found, "overhead", "podFixed") if found is not None else None
        if wanted is not None and not _same(given or {}, wanted):
            raise refuse(write, _MISMATCH)
        if wanted is None and given is not None:
            raise refuse(write, _NO_CLASS)

    def _class_of(self, write: Write, pod: Obj) -> Obj | None:
        name = at(pod, "spec", "runtimeClassName")
        if name is None:
            return None
        cached = self._classes.get(f"{self._classes.prefix}{name}")
        if cached is None:
            raise refuse(write, f'pod rejected: RuntimeClass "{name}" not found')
        return cached.decode(self._classes.head)


def _is_new_pod(write: Write) -> bool:
    return write.operation == "CREATE" and write.is_("", "pods")


def _same(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    return {k: quantity.of(v) for k, v in one.items()} == {
        k: quantity.of(v) for k, v in other.items()
    }


def _schedule(write: Write, spec: Obj, scheduling: Obj) -> None:
    given = spec.get("nodeSelector") or {}
    wanted: dict[str, str] = scheduling.get("nodeSelector") or {}
    for key, value in sorted(wanted.items()):
        if given.get(key, value) != value:
            where = f"runtimeClass.scheduling.nodeSelector[{key}] = {value}"
            text = f"conflict: {where}; pod.spec.nodeSelector[{key}] = {given[key]}"
            raise refuse(write, text)
    if given or wanted:
        spec["nodeSelector"] = {**given, **wanted}
    tolerations = [*(spec.get("tolerations") or []), *(scheduling.get("tolerations") or [])]
    if tolerations:
        spec["tolerations"] = merged(tolerations)


def merged(tolerations: Sequence[Obj]) -> list[Obj]:
    """Without those that another one covers; of equal ones the last stays."""
    return [
        one
        for i, one in enumerate(tolerations)
        if not any(_covers(other, one) for other in tolerations[i + 1 :])
        and not any(_covers(other, one) and not _covers(one, other) for other in tolerations[:i])
    ]


def _covers(wide: Obj, narrow: Obj) -> bool:
    """Whether everything that `narrow` tolerates is tolerated by `wide`, as long."""
    if wide == narrow:
        return True
    if wide.get("key") and wide["key"] != narrow.get("key"):
        return False
    if not wide.get("key") and wide.get("operator") != "Exists":
        return False
    if wide.get("effect") and wide["effect"] != narrow.get("effect"):
        return False
    if wide.get("effect") == "NoExecute":
        longest, asked = wide.get("tolerationSeconds"), narrow.get("tolerationSeconds")
        if longest is not None and (asked is None or longest < asked):
            return False
    if wide.get("operator") == "Exists":
        return True
    is_equal = (wide.get("operator") or "Equal") == "Equal" == (narrow.get("operator") or "Equal")
    return is_equal and (wide.get("value") or "") == (narrow.get("value") or "")
