"""PodResizeValidator: a pod does not grow beyond its node, which must run Linux.

Upstream: plugin/pkg/admission/podresize/admission.go.
"""

from collections.abc import Iterator
from typing import Final

from tiphys.api import quantity
from tiphys.api.errors import StatusCause
from tiphys.api.meta import Obj, at, labels_of, name_of
from tiphys.api.quantity import ZERO, Quantity
from tiphys.api.quota_usage import pod_resources
from tiphys.apiserver.admission.chain import Resources, Write
from tiphys.apiserver.admission.refusal import refuse
from tiphys.storage.watch_cache import WatchCache

OS_LABEL: Final = "kubernetes.io/os"
_PARTS: Final = ("containers", "initContainers", "resources")


class PodResizeValidator:
    name = "PodResizeValidator"
    resources: Resources = frozenset({("", "pods")})

    def __init__(self, nodes: WatchCache) -> None:
        self._nodes = nodes

    def validate(self, write: Write) -> None:
        new, old = write.obj, write.old
        if write.operation != "UPDATE" or new is None or old is None:
            return
        name = at(new, "spec", "nodeName", default="")
        if not write.is_("", "pods", "resize") or not name or _is_same(new, old):
            return
        found = self._nodes.get(self._nodes.prefix + name)
        if found is None:
            raise refuse(write, f'node "{name}" not found')
        node = found.decode(self._nodes.head)
        lacking = "; ".join(_lacking(new, node))
        if lacking:
            text = f"Node didn't have enough allocatable resources: {lacking}"
            raise refuse(write, text, [StatusCause("NodeCapacity", "", "")])
        system = labels_of(node).get(OS_LABEL, "")
        if system != "linux":
            text = "pod resize is only supported on linux nodes"
            why = f'{text}, node "{name_of(node)}" is "{system}"'
            raise refuse(write, why, [StatusCause("UnsupportedPlatform", "", "")])


def _is_same(new: Obj, old: Obj) -> bool:
    return all(new["spec"].get(part) == old["spec"].get(part) for part in _PARTS)


def _lacking(pod: Obj, node: Obj) -> Iterator[str]:
    wanted = pod_resources(pod, "requests")
    for name in ("cpu", "memory"):
        there = quantity.of(at(node, "status", "allocatable", name, default="0"))
        asked, given = _number(name, wanted.get(name, ZERO)), _number(name, there)
        if asked > given:
            yield f"{name}, requested: {asked}, allocatable: {given}"


def _number(name: str, amount: Quantity) -> int:
    return amount.milli_value if name == "cpu" else amount.value
