"""What a pod asks of a node, as integers. Pure.

CPU counts in thousandths of a core, everything else in whole units (bytes, pieces).
Upstream: component-helpers/resource/helpers.go PodRequests.
"""

from collections.abc import Mapping
from typing import Any, Final

from tiphys.api import quantity
from tiphys.api.meta import Obj, at

# What a container that asks for nothing counts as when nodes are scored, never when they are
# filtered. Source: scheduler/util/pod_resources.go.
DEFAULT_CPU_MILLIS: Final = 100
DEFAULT_MEMORY_BYTES: Final = 200 * 1024 * 1024

Amounts = dict[str, int]


def amounts(resources: Mapping[str, Any] | None) -> Amounts:
    """Quantities as integers."""
    return {name: amount(name, value) for name, value in (resources or {}).items()}


def amount(name: str, value: Any) -> int:
    parsed = quantity.of(value)
    return parsed.milli_value if name == "cpu" else parsed.value


def pod_requests(pod: Obj, *, for_scoring: bool = False) -> Amounts:
    """Containers together, or the greediest init container beside the sidecars before it."""
    spec: Obj = pod.get("spec") or {}
    total: Amounts = {}
    for container in spec.get("containers") or []:
        _add(total, _container_requests(container, for_scoring=for_scoring))
    sidecars: Amounts = {}
    peak: Amounts = {}
    for container in spec.get("initContainers") or []:
        wanted = _container_requests(container, for_scoring=for_scoring)
        if container.get("restartPolicy") == "Always":
            _add(total, wanted)
            _add(sidecars, wanted)
            _raise(peak, sidecars)
        else:
            beside = dict(sidecars)
            _add(beside, wanted)
            _raise(peak, beside)
    _raise(total, peak)
    total |= amounts(at(spec, "resources", "requests"))
    _add(total, amounts(spec.get("overhead")))
    return total


def _container_requests(container: Obj, *, for_scoring: bool) -> Amounts:
    wanted = amounts(at(container, "resources", "requests"))
    if for_scoring:
        wanted.setdefault("cpu", DEFAULT_CPU_MILLIS)
        wanted.setdefault("memory", DEFAULT_MEMORY_BYTES)
    return wanted


def _add(total: Amounts, more: Amounts) -> None:
    for name, value in more.items():
        total[name] = total.get(name, 0) + value


def _raise(total: Amounts, floor: Amounts) -> None:
    for name, value in floor.items():
        total[name] = max(total.get(name, 0), value)
