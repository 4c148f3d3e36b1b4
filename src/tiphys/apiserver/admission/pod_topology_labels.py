"""PodTopologyLabels: a pod that gets a node gets the node's zone and region as labels.

Upstream: plugin/pkg/admission/podtopologylabels/admission.go, KEP-4742.
"""

from typing import Final

from tiphys.api.meta import Obj, at, labels_of
from tiphys.apiserver.admission.chain import Resources, Write
from tiphys.storage.watch_cache import WatchCache

LABELS: Final = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")


class PodTopologyLabels:
    name = "PodTopologyLabels"
    resources: Resources = frozenset({("", "pods")})

    def __init__(self, nodes: WatchCache) -> None:
        self._nodes = nodes

    def mutate(self, write: Write) -> None:
        obj = write.obj
        if obj is None or write.operation != "CREATE":
            return
        node = ""
        if write.is_("", "pods"):
            node = at(obj, "spec", "nodeName", default="")
        elif write.is_("", "pods", "binding") and at(obj, "target", "kind") == "Node":
            node = at(obj, "target", "name", default="")
        if node and (found := self._labels(node)):
            obj["metadata"]["labels"] = {**labels_of(obj), **found}

    def _labels(self, name: str) -> Obj:
        """None for a node that is not there: it may come later."""
        node = self._nodes.get(self._nodes.prefix + name)
        if node is None:
            return {}
        labels = labels_of(node.decode(self._nodes.head))
        return {key: labels[key] for key in LABELS if key in labels}
