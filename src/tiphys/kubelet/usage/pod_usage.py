"""What the pods of this node use now, pod by pod and container by container."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tiphys.api.meta import Obj, uid_of
from tiphys.kubelet.cgroups import pod_cgroup
from tiphys.kubelet.runtime_state import PodRuntime, RuntimeContainer
from tiphys.kubelet.usage.cgroup_usage import CgroupReader, CgroupUsage
from tiphys.kubelet.usage.network import InterfaceCounters, read_interfaces


@dataclass(frozen=True, slots=True)
class ContainerUsage:
    container: RuntimeContainer
    path: str  # Of its cgroup.
    usage: CgroupUsage
    process_count: int = 0


@dataclass(frozen=True, slots=True)
class PodUsage:
    """`usage` is of the pod's own group and is None where the runtime keeps its groups elsewhere.

    Interfaces are the pod's; a pod on the host's network has none of its own.
    """

    pod: Obj
    path: str
    usage: CgroupUsage | None
    containers: list[ContainerUsage]
    interfaces: list[InterfaceCounters] = field(default_factory=list)

    @property
    def namespace(self) -> str:
        return str(self.pod["metadata"].get("namespace", ""))

    @property
    def name(self) -> str:
        return str(self.pod["metadata"]["name"])


class PodUsageReader:
    """`state` gives what the runtime says of a pod; root is where `kubepods` begins."""

    def __init__(self, reader: CgroupReader, root: str, state: Callable[[str], PodRuntime]) -> None:
        self._reader = reader
        self._root = root
        self._state = state

    def read(self, pods: Iterable[Obj], *, brief: bool = False) -> list[PodUsage]:
        """Of every pod that runs. brief: only what /metrics/resource needs."""
        return [
            self._pod(pod, state, brief=brief)
            for pod in pods
            if (state := self._state(uid_of(pod))).ready_sandbox is not None
        ]

    def _pod(self, pod: Obj, state: PodRuntime, *, brief: bool) -> PodUsage:
        path = pod_cgroup(self._root, pod)
        containers, pid = [], 0
        for container in state.containers:
            if container.state != "running":
                continue
            own = f"{path}/{container.id}"
            usage = self._reader.read(own, brief=brief)
            if usage is None:
                continue  # It has just ended.
            processes = [] if brief else self._reader.processes(own)
            pid = pid or next(iter(processes), 0)
            containers.append(ContainerUsage(container, own, usage, len(processes)))
        sandbox = state.ready_sandbox
        apart = sandbox is not None and not sandbox.host_network
        interfaces = read_interfaces(pid) if pid and apart else []
        return PodUsage(pod, path, self._reader.read(path, brief=brief), containers, interfaces)
