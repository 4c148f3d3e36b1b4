"""What plugins see and say: pods, nodes, verdicts. Pure.

A plugin is a module in plugins/ with NAME and any of: pre_enqueue, pre_filter, filter_node,
score_node (0 to 100 after `normalize`), and RETRY_ON, the events after which a pod that it
rejected is worth another try. Where the other nodes matter, `prepare` looks at all of them once and
returns the filter (None: nothing to say on this pod), and `score_nodes` scores all at once.
Upstream: pkg/scheduler/framework/interface.go.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Protocol

from tiphys.api.labels import EVERYTHING, Selector
from tiphys.api.meta import Obj, at, is_terminating, labels_of, name_of, namespace_of, uid_of
from tiphys.scheduler.affinity_terms import AffinityTerms, NamespaceLabels, read_terms
from tiphys.scheduler.requests import Amounts, amounts, pod_requests

SCORE_MAX: Final = 100
MATCHING_MAX: Final = 256  # Counts remembered per node.

# Cluster events that may make a pod schedulable.
NODE_ADD: Final = "Node/Add"
NODE_LABEL: Final = "Node/UpdateNodeLabel"
NODE_TAINT: Final = "Node/UpdateNodeTaint"
NODE_ALLOCATABLE: Final = "Node/UpdateNodeAllocatable"
POD_ADD: Final = "AssignedPod/Add"
POD_LABEL: Final = "AssignedPod/UpdatePodLabel"
POD_DELETE: Final = "AssignedPod/Delete"
POD_UPDATE: Final = "Pod/Update"
CLAIM_CHANGE: Final = "PersistentVolumeClaim/Change"
VOLUME_CHANGE: Final = "PersistentVolume/Change"
CLASS_CHANGE: Final = "StorageClass/Change"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a node does not fit. unresolvable: evicting pods would not help."""

    reasons: tuple[str, ...]
    unresolvable: bool = False


def unschedulable(*reasons: str) -> Verdict:
    return Verdict(reasons)


def unresolvable(*reasons: str) -> Verdict:
    return Verdict(reasons, unresolvable=True)


def lasting_containers(pod: Obj) -> list[Obj]:
    """The containers that run beside each other: sidecars are init containers that stay."""
    inits = at(pod, "spec", "initContainers", default=[])
    sidecars = [c for c in inits if c.get("restartPolicy") == "Always"]
    return [*at(pod, "spec", "containers", default=[]), *sidecars]


@dataclass(frozen=True, slots=True)
class ClaimFacts:
    """A claim by name; None for what is not there. `free`: volumes that may yet be bound to it."""

    name: str
    claim: Obj | None = None
    volume: Obj | None = None
    storage_class: Obj | None = None
    free: tuple[Obj, ...] = ()


class PodInfo:
    """A pod and what is computed of it once."""

    def __init__(
        self, pod: Obj, claims: Sequence[ClaimFacts] = (), siblings: Selector = EVERYTHING
    ) -> None:
        """siblings: the pods of the same Services and owner, EVERYTHING where there are none."""
        self.pod = pod
        self.claims = claims
        self.siblings = siblings

    @cached_property
    def affinity(self) -> AffinityTerms:
        return read_terms(self.pod)

    @cached_property
    def requests(self) -> Amounts:
        return pod_requests(self.pod)

    @cached_property
    def scoring_requests(self) -> Amounts:
        return pod_requests(self.pod, for_scoring=True)

    @cached_property
    def host_ports(self) -> tuple[tuple[str, str, int], ...]:
        """(address, protocol, port) that the pod wants of its node."""
        found = []
        for container in lasting_containers(self.pod):
            for port in container.get("ports") or []:
                if number := int(port.get("hostPort") or 0):
                    address = port.get("hostIP") or "0.0.0.0"
                    found.append((address, port.get("protocol") or "TCP", number))
        return tuple(found)

    @property
    def priority(self) -> int:
        return int(at(self.pod, "spec", "priority", default=0))


@dataclass(slots=True)
class NodeInfo:
    """A node, its pods and the sums over them. Changed only by the cache."""

    node: Obj
    pods: dict[str, PodInfo] = field(default_factory=dict)
    requested: Amounts = field(default_factory=dict)
    scoring_requested: Amounts = field(default_factory=dict)
    ports: dict[tuple[str, str, int], int] = field(default_factory=dict)
    allocatable: Amounts = field(default_factory=dict)
    images: dict[str, int] = field(default_factory=dict)
    affine: dict[str, PodInfo] = field(default_factory=dict)  # Those with affinity terms, by uid.
    _matching: dict[str, int] = field(default_factory=dict)  # See `matching`.

    @property
    def name(self) -> str:
        return name_of(self.node)

    @property
    def labels(self) -> Mapping[str, str]:
        return labels_of(self.node)

    def set_node(self, node: Obj) -> None:
        self.node = node
        self.allocatable = amounts(at(node, "status", "allocatable"))
        self.images = {
            name: int(image.get("sizeBytes") or 0)
            for image in at(node, "status", "images", default=[])
            for name in image.get("names") or []
        }

    def add(self, uid: str, info: PodInfo) -> None:
        self.pods[uid] = info
        if info.affinity:
            self.affine[uid] = info
        self._count(info, 1)

    def remove(self, uid: str) -> None:
        info = self.pods.pop(uid, None)
        if info is not None:
            self.affine.pop(uid, None)
            self._count(info, -1)

    def copy(self) -> "NodeInfo":
        """One to try changes on."""
        return NodeInfo(
            self.node,
            dict(self.pods),
            dict(self.requested),
            dict(self.scoring_requested),
            dict(self.ports),
            self.allocatable,
            self.images,
            dict(self.affine),
        )

    def matching(self, namespace: str, selector: Selector, text: str) -> int:
        """How many pods of a namespace match, those being deleted apart; text: the selector's.

        Remembered until the node's pods change: one decision changes one node of many.
        """
        if selector.is_everything:
            return 0
        key = f"{namespace}/{text}"
        count = self._matching.get(key)
        if count is None:
            count = sum(
                1
                for info in self.pods.values()
                if namespace_of(info.pod) == namespace
                and not is_terminating(info.pod)
                and selector.matches(labels_of(info.pod))
            )
            if len(self._matching) >= MATCHING_MAX:
                self._matching.clear()
            self._matching[key] = count
        return count

    def _count(self, info: PodInfo, sign: int) -> None:
        self._matching.clear()
        for name, value in info.requests.items():
            self.requested[name] = self.requested.get(name, 0) + sign * value
        for name in ("cpu", "memory"):
            value = info.scoring_requests.get(name, 0)
            self.scoring_requested[name] = self.scoring_requested.get(name, 0) + sign * value
        for port in info.host_ports:
            self.ports[port] = self.ports.get(port, 0) + sign
            if self.ports[port] <= 0:
                del self.ports[port]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All nodes at one moment, in a stable order."""

    nodes: Sequence[NodeInfo]
    namespaces: NamespaceLabels = field(default_factory=dict)
    # Pods that wait for a node to which others make room for them.
    nominated: Mapping[str, Mapping[str, PodInfo]] = field(default_factory=dict)

    def replaced(self, changed: NodeInfo) -> "Snapshot":
        """The same with one node as it would be."""
        nodes = [changed if n.name == changed.name else n for n in self.nodes]
        return Snapshot(nodes, self.namespaces, self.nominated)

    def nominated_on(self, node: str, pod: PodInfo) -> dict[str, PodInfo]:
        """By uid, those that go before a pod: its equals and betters."""
        waiting = self.nominated.get(node)
        if not waiting:
            return {}
        own = uid_of(pod.pod)
        return {u: w for u, w in waiting.items() if u != own and w.priority >= pod.priority}


class Plugin(Protocol):
    """See the module; every plugin is a module with these names."""

    NAME: str


PreEnqueue = Callable[[Obj], str | None]  # a reason to wait, or None
# Node names, None = all, or why no node will do.
PreFilter = Callable[[PodInfo, Snapshot], Collection[str] | Verdict | None]
Filter = Callable[[PodInfo, NodeInfo], Verdict | None]
Score = Callable[[PodInfo, NodeInfo, Snapshot], int]
Prepare = Callable[[PodInfo, Snapshot], Filter | None]
ScoreNodes = Callable[[PodInfo, Sequence[NodeInfo], Snapshot], dict[str, int] | None]
Normalize = Callable[[dict[str, int]], dict[str, int]]


@dataclass(frozen=True, slots=True)
class FilterPlugin:
    name: str
    filter_node: Filter | None
    retry_on: frozenset[str]
    prepare: Prepare | None = None


@dataclass(frozen=True, slots=True)
class ScorePlugin:
    name: str
    weight: int
    score_node: Score | None
    normalize: Normalize | None = None
    score_nodes: ScoreNodes | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """The plugins of one scheduler, in order."""

    filters: tuple[FilterPlugin, ...]
    scores: tuple[ScorePlugin, ...]
    pre_enqueue: tuple[tuple[str, PreEnqueue], ...] = ()
    pre_filters: tuple[tuple[str, PreFilter], ...] = ()


def normalized(scores: Mapping[str, int], *, reverse: bool = False) -> dict[str, int]:
    """Scores stretched to 0..100 by the highest. Source: helper.DefaultNormalizeScore."""
    highest = max(scores.values(), default=0)
    if highest == 0:
        return dict.fromkeys(scores, SCORE_MAX if reverse else 0)
    stretched = {name: SCORE_MAX * score // highest for name, score in scores.items()}
    return {n: SCORE_MAX - s for n, s in stretched.items()} if reverse else stretched
