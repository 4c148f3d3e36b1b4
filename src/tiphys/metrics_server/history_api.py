"""GET of metrics.tiphys/v1: what a node or pod used in the last day, for charts.

    /apis/metrics.tiphys/v1/nodehistories/NAME
    /apis/metrics.tiphys/v1/namespaces/NAMESPACE/podhistories/NAME      ?minutes=1..1440

The document's three lists have one entry a minute, minutes without data left out.
"""

from typing import Final

from tiphys.api.errors import BadRequest, not_found
from tiphys.api.meta import Obj
from tiphys.lib.clock import Clock
from tiphys.metrics_server.history import MINUTES, History
from tiphys.metrics_server.minutes import node_series, pod_series

GROUP: Final = "metrics.tiphys"
VERSION: Final = "v1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
PATH: Final = f"/apis/{API_VERSION}"
Params = dict[str, list[str]]


class HistoryApi:
    def __init__(self, history: History, clock: Clock) -> None:
        self._history = history
        self._clock = clock

    def node(self, name: str, params: Params) -> Obj:
        """Raises NotFound, BadRequest."""
        return self._document("NodeHistory", node_series(name), {"name": name}, params)

    def pod(self, namespace: str, name: str, params: Params) -> Obj:
        """Raises NotFound, BadRequest."""
        metadata = {"name": name, "namespace": namespace}
        return self._document("PodHistory", pod_series(namespace, name), metadata, params)

    def _document(self, kind: str, series: str, metadata: Obj, params: Params) -> Obj:
        minutes = _minutes(params)
        if not self._history.knows(series):
            raise not_found(
                GROUP,
                "nodehistories" if kind == "NodeHistory" else "podhistories",
                metadata["name"],
            )
        last = int(self._clock.now().timestamp()) // 60
        points = self._history.read(series, last - minutes + 1, last)
        return {
            "kind": kind,
            "apiVersion": API_VERSION,
            "metadata": metadata,
            "resolutionSeconds": 60,
            "times": [point.minute * 60 for point in points],
            "cpuMillicores": [point.cpu_millicores for point in points],
            "memoryBytes": [point.memory_bytes for point in points],
        }


def _minutes(params: Params) -> int:
    text = params.get("minutes", [str(MINUTES)])[0]
    if not text.isdecimal() or not 0 < int(text) <= MINUTES:
        raise BadRequest(f'minutes "{text}" must be a number from 1 to {MINUTES}')
    return int(text)


def resource_list() -> Obj:
    """`/apis/metrics.tiphys/v1`"""
    kinds = (("nodehistories", "NodeHistory", False), ("podhistories", "PodHistory", True))
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": API_VERSION,
        "resources": [
            {
                "name": plural,
                "singularName": kind.lower(),
                "namespaced": namespaced,
                "kind": kind,
                "verbs": ["get"],
            }
            for plural, kind, namespaced in kinds
        ],
    }
