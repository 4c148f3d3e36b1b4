"""Which objects the pods of each node need: by these a node may read, and by no others.

Follows committed writes of pods. A pod's needs are read when it is bound; they change afterwards
only by ephemeral containers. Upstream: plugin/pkg/auth/authorizer/node/graph.go.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from tiphys.api.meta import Obj, at
from tiphys.codec import json
from tiphys.storage.backend import Event
from tiphys.storage.store import resource_prefix

PODS: Final = resource_prefix("", "pods")
_BOUND: Final = b'"nodeName"'
_EPHEMERAL: Final = b'"ephemeralContainers"'
_CONTAINERS: Final = ("initContainers", "containers", "ephemeralContainers")
# Where volumes of plugins name the Secret with their credentials (API types with secretRef).
_SECRET_REFERENCES: Final = (
    ("azureFile", "secretName"),
    ("cephfs", "secretRef", "name"),
    ("cinder", "secretRef", "name"),
    ("csi", "nodePublishSecretRef", "name"),
    ("flexVolume", "secretRef", "name"),
    ("iscsi", "secretRef", "name"),
    ("rbd", "secretRef", "name"),
    ("scaleIO", "secretRef", "name"),
    ("secret", "secretName"),
    ("storageos", "secretRef", "name"),
)


class Need(NamedTuple):
    """resource: secrets, configmaps, persistentvolumeclaims, serviceaccounts, pods."""

    resource: str
    namespace: str
    name: str


class _Bound(NamedTuple):
    node: str
    needs: frozenset[Need]


class NodeGraph:
    """See the module."""

    def __init__(self) -> None:
        self._pods: dict[str, _Bound] = {}
        self._counts: dict[str, dict[Need, int]] = {}  # By node: how many of its pods need it.

    def load(self, pods: Sequence[Obj]) -> None:
        """Take in what the store holds at the start."""
        for pod in pods:
            metadata = pod["metadata"]
            self._put(f"{PODS}{metadata['namespace']}/{metadata['name']}", pod)

    def follow(self, events: Sequence[Event]) -> None:
        """Take in committed writes of pods (a listener of the store)."""
        for event in events:
            if not event.key.startswith(PODS):
                continue
            if event.value is None:
                self._drop(event.key)
            elif _BOUND in event.value and (
                event.key not in self._pods or _EPHEMERAL in event.value
            ):
                self._put(event.key, json.decode(event.value))

    def needs(self, node: str, need: Need) -> bool:
        """Whether a pod of the node needs the object."""
        return need in self._counts.get(node, {})

    def _put(self, key: str, pod: Obj) -> None:
        node = str(at(pod, "spec", "nodeName", default=""))
        self._drop(key)
        if not node:
            return
        needs = frozenset(needs_of(pod))
        self._pods[key] = _Bound(node, needs)
        counts = self._counts.setdefault(node, {})
        for need in needs:
            counts[need] = counts.get(need, 0) + 1

    def _drop(self, key: str) -> None:
        bound = self._pods.pop(key, None)
        if bound is None:
            return
        counts = self._counts[bound.node]
        for need in bound.needs:
            counts[need] -= 1
            if not counts[need]:
                del counts[need]
        if not counts:
            del self._counts[bound.node]


def needs_of(pod: Obj) -> Iterator[Need]:
    """Everything that a kubelet reads for a pod, and the pod itself. Pure."""
    metadata, spec = pod["metadata"], pod.get("spec") or {}
    namespace = metadata["namespace"]
    yield Need("pods", namespace, metadata["name"])
    if account := spec.get("serviceAccountName"):
        yield Need("serviceaccounts", namespace, account)
    for secret in spec.get("imagePullSecrets") or ():
        yield Need("secrets", namespace, secret.get("name", ""))
    for container in (c for field in _CONTAINERS for c in spec.get(field) or ()):
        yield from _of_environment(container, namespace)
    for volume in spec.get("volumes") or ():
        yield from _of_volume(volume, namespace, metadata["name"])


def _of_environment(container: Obj, namespace: str) -> Iterator[Need]:
    sources = [variable.get("valueFrom") or {} for variable in container.get("env") or ()]
    for source in (*sources, *(container.get("envFrom") or ())):
        for field, resource in (
            ("secretKeyRef", "secrets"),
            ("secretRef", "secrets"),
            ("configMapKeyRef", "configmaps"),
            ("configMapRef", "configmaps"),
        ):
            if name := at(source, field, "name"):
                yield Need(resource, namespace, name)


def _of_volume(volume: Obj, namespace: str, pod_name: str) -> Iterator[Need]:
    for path in _SECRET_REFERENCES:
        if name := at(volume, *path):
            yield Need("secrets", namespace, name)
    if name := at(volume, "configMap", "name"):
        yield Need("configmaps", namespace, name)
    if name := at(volume, "persistentVolumeClaim", "claimName"):
        yield Need("persistentvolumeclaims", namespace, name)
    if "ephemeral" in volume:
        yield Need("persistentvolumeclaims", namespace, f"{pod_name}-{volume['name']}")
    for source in at(volume, "projected", "sources", default=[]):
        for field, resource in (("secret", "secrets"), ("configMap", "configmaps")):
            if name := at(source, field, "name"):
                yield Need(resource, namespace, name)
