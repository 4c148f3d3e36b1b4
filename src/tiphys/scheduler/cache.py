"""The scheduler's picture of the cluster: nodes and the pods on them, assumed ones included.

A pod is assumed on its node from the decision on, so that the next pod sees it before the API has
said so; when binding fails it is forgotten. Upstream: pkg/scheduler/backend/cache.
"""

from collections.abc import Mapping

from tiphys.api.meta import Obj, at, name_of, uid_of
from tiphys.scheduler.framework import NodeInfo, PodInfo, Snapshot


class Cache:
    def __init__(self) -> None:
        self._nodes: dict[str, NodeInfo] = {}
        self._homeless: dict[str, dict[str, PodInfo]] = {}  # pods of nodes not seen yet
        self._where: dict[str, str] = {}  # uid -> node name
        self._assumed: set[str] = set()
        self._namespaces: dict[str, Mapping[str, str]] = {}
        self._nominated: dict[str, dict[str, PodInfo]] = {}  # By node.

    def set_namespace(self, name: str, labels: Mapping[str, str]) -> None:
        self._namespaces[name] = labels

    def remove_namespace(self, name: str) -> None:
        self._namespaces.pop(name, None)

    def nominate(self, info: PodInfo, node: str) -> None:
        """Room is being made for a pod on a node; "" takes that back."""
        uid = uid_of(info.pod)
        self._forget_nomination(uid)
        if node and uid not in self._where:
            self._nominated.setdefault(node, {})[uid] = info

    def _forget_nomination(self, uid: str) -> None:
        for node, waiting in list(self._nominated.items()):
            if waiting.pop(uid, None) is not None and not waiting:
                del self._nominated[node]

    def set_node(self, node: Obj) -> None:
        name = name_of(node)
        info = self._nodes.get(name)
        if info is None:
            info = NodeInfo(node)
            self._nodes[name] = info
            for uid, pod in self._homeless.pop(name, {}).items():
                info.add(uid, pod)
        info.set_node(node)

    def remove_node(self, name: str) -> None:
        info = self._nodes.pop(name, None)
        if info is not None and info.pods:
            self._homeless[name] = info.pods

    def set_pod(self, pod: Obj) -> None:
        """A pod that has a node, as the API says."""
        uid, node = uid_of(pod), str(at(pod, "spec", "nodeName", default=""))
        self._assumed.discard(uid)
        self._remove(uid)
        self._add(uid, node, PodInfo(pod))

    def remove_pod(self, uid: str) -> None:
        self._assumed.discard(uid)
        self._remove(uid)

    def assume(self, info: PodInfo, node: str) -> None:
        uid = uid_of(info.pod)
        self._assumed.add(uid)
        self._remove(uid)
        self._add(uid, node, info)

    def forget(self, uid: str) -> None:
        """Binding failed."""
        if uid in self._assumed:
            self.remove_pod(uid)

    def is_known(self, uid: str) -> bool:
        return uid in self._where

    def node(self, name: str) -> NodeInfo | None:
        return self._nodes.get(name)

    def snapshot(self) -> Snapshot:
        nodes = [self._nodes[name] for name in sorted(self._nodes)]
        return Snapshot(nodes, self._namespaces, self._nominated)

    def _add(self, uid: str, node: str, info: PodInfo) -> None:
        self._forget_nomination(uid)
        self._where[uid] = node
        found = self._nodes.get(node)
        if found is not None:
            found.add(uid, info)
        else:
            self._homeless.setdefault(node, {})[uid] = info

    def _remove(self, uid: str) -> None:
        self._forget_nomination(uid)
        node = self._where.pop(uid, None)
        if node is None:
            return
        found = self._nodes.get(node)
        if found is not None:
            found.remove(uid)
        else:
            self._homeless.get(node, {}).pop(uid, None)
