"""NodeMetrics and PodMetrics, their lists and tables. Pure.

Upstream: k8s.io/metrics pkg/apis/metrics/v1beta1; metrics-server pkg/api (node.go, pod.go,
table.go).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from tiphys.api import quantity
from tiphys.api.meta import Obj, labels_of, name_of, namespace_of, rfc3339
from tiphys.metrics_server.points import Usage

API_VERSION: Final = "metrics.k8s.io/v1beta1"
BILLION: Final = 1_000_000_000


def usage_of(used: Usage) -> Obj:
    """Quantities: CPU in nanocores, memory in bytes, each in its shortest exact form."""
    return {
        "cpu": quantity.canonical(int(used.cpu_cores * BILLION), "decimal"),
        "memory": quantity.canonical(used.memory_bytes * BILLION, "binary"),
    }


def duration(seconds: float) -> str:
    """To the millisecond, as Go writes a time.Duration: `15.02s`, `1m0.5s`."""
    minutes, rest = divmod(round(seconds, 3), 60)
    text = f"{rest:.3f}".rstrip("0").rstrip(".")
    return f"{int(minutes)}m{text}s" if minutes else f"{text}s"


def node_metrics(node: Obj, used: Usage, now: datetime) -> Obj:
    return {
        "kind": "NodeMetrics",
        "apiVersion": API_VERSION,
        "metadata": _metadata(node, now),
        **_moment([used]),
        "usage": usage_of(used),
    }


def pod_metrics(pod: Obj, containers: Mapping[str, Usage], now: datetime) -> Obj:
    return {
        "kind": "PodMetrics",
        "apiVersion": API_VERSION,
        "metadata": _metadata(pod, now),
        **_moment(list(containers.values())),
        "containers": [{"name": n, "usage": usage_of(used)} for n, used in containers.items()],
    }


def _metadata(obj: Obj, now: datetime) -> Obj:
    made: Obj = {"name": name_of(obj)}
    if namespace := namespace_of(obj):
        made["namespace"] = namespace
    made["creationTimestamp"] = rfc3339(now)
    if labels := labels_of(obj):
        made["labels"] = labels
    return made


def _moment(used: Sequence[Usage]) -> Obj:
    """The newest time and the longest window of several."""
    at = datetime.fromtimestamp(max(u.at for u in used), UTC)
    return {"timestamp": rfc3339(at), "window": duration(max(u.window_seconds for u in used))}


def listed(kind: str, items: list[Obj]) -> Obj:
    """kind: of one item."""
    return {"kind": f"{kind}List", "apiVersion": API_VERSION, "metadata": {}, "items": items}


def table(items: Sequence[Obj]) -> Obj:
    """What `kubectl get` shows; of a pod the sums of its containers."""
    columns = [
        _column("Name", "name", "Name of the resource"),
        _column("cpu", "quantity", "CPU that is used"),
        _column("memory", "quantity", "Memory that is used"),
        _column("Window", "duration", "Time that the values are of"),
    ]
    rows = [{"cells": _cells(item), "object": _partial(item)} for item in items]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {},
        "columnDefinitions": columns,
        "rows": rows,
    }


def _column(name: str, form: str, text: str) -> Obj:
    return {"name": name, "type": "string", "format": form, "description": text, "priority": 0}


def _cells(item: Obj) -> list[str]:
    used = [item["usage"]] if "usage" in item else [c["usage"] for c in item["containers"]]
    cpu = sum((quantity.of(u["cpu"]) for u in used), quantity.from_value(0))
    memory = sum((quantity.of(u["memory"]) for u in used), quantity.from_value(0, "binary"))
    return [name_of(item), str(cpu), str(memory), item["window"]]


def _partial(item: Obj) -> Obj:
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": item["metadata"],
    }
