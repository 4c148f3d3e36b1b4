"""What the runtime says of one pod, as values: sandboxes and containers, newest first.

Upstream: pkg/kubelet/container runtime.go (PodStatus), kuberuntime labels.go.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

POD_NAME: Final = "io.kubernetes.pod.name"
POD_NAMESPACE: Final = "io.kubernetes.pod.namespace"
POD_UID: Final = "io.kubernetes.pod.uid"
CONTAINER_NAME: Final = "io.kubernetes.container.name"
CONTAINER_HASH: Final = "io.kubernetes.container.hash"
RESTART_COUNT: Final = "io.kubernetes.container.restartCount"
MESSAGE_PATH: Final = "io.kubernetes.container.terminationMessagePath"
MESSAGE_POLICY: Final = "io.kubernetes.container.terminationMessagePolicy"
POD_GRACE: Final = "io.kubernetes.pod.terminationGracePeriod"

State = Literal["created", "running", "exited", "unknown"]
_STATES: Final[dict[str, State]] = {
    "CONTAINER_CREATED": "created",
    "CONTAINER_RUNNING": "running",
    "CONTAINER_EXITED": "exited",
    "CONTAINER_UNKNOWN": "unknown",
}


@dataclass(frozen=True, slots=True)
class RuntimeContainer:
    """One container; times are nanoseconds since 1970, 0 where they have not come."""

    id: str
    name: str
    state: State
    restart_count: int = 0
    created_at: int = 0
    started_at: int = 0
    finished_at: int = 0
    exit_code: int = 0
    image: str = ""
    image_ref: str = ""
    reason: str = ""
    message: str = ""
    hash: str = ""
    log_path: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    user: Mapping[str, Any] | None = None
    resources: Mapping[str, Any] = field(default_factory=dict)
    """LinuxContainerResources as they are; empty where the runtime does not say."""


@dataclass(frozen=True, slots=True)
class RuntimeSandbox:
    id: str
    ready: bool
    attempt: int = 0
    created_at: int = 0
    ips: tuple[str, ...] = ()
    host_network: bool = False
    pod_name: str = ""
    pod_namespace: str = ""


@dataclass(frozen=True, slots=True)
class PodRuntime:
    """Everything of one pod; the first of each list is the newest."""

    sandboxes: tuple[RuntimeSandbox, ...] = ()
    containers: tuple[RuntimeContainer, ...] = ()

    def newest(self, name: str) -> RuntimeContainer | None:
        return next((c for c in self.containers if c.name == name), None)

    def current(self, name: str) -> RuntimeContainer | None:
        """The newest of this sandbox: init containers run once in each sandbox."""
        newest, sandbox = self.newest(name), self.sandbox
        if newest is None or sandbox is None or newest.created_at < sandbox.created_at:
            return None
        return newest

    def instances(self, name: str) -> list[RuntimeContainer]:
        return [c for c in self.containers if c.name == name]

    @property
    def sandbox(self) -> RuntimeSandbox | None:
        return self.sandboxes[0] if self.sandboxes else None

    @property
    def ready_sandbox(self) -> RuntimeSandbox | None:
        newest = self.sandbox
        return newest if newest is not None and newest.ready else None

    @property
    def ips(self) -> tuple[str, ...]:
        ready = self.ready_sandbox
        return ready.ips if ready is not None else ()

    @property
    def is_running(self) -> bool:
        """Something is left to stop. What was made and never started has no process."""
        alive = ("running", "unknown")
        return any(s.ready for s in self.sandboxes) or any(
            c.state in alive for c in self.containers
        )


EMPTY: Final = PodRuntime()


def pod_runtime(
    sandboxes: Iterable[Mapping[str, Any]], containers: Iterable[Mapping[str, Any]]
) -> PodRuntime:
    """From PodSandboxStatus and ContainerStatus messages of CRI."""
    return PodRuntime(
        tuple(sorted(map(_sandbox, sandboxes), key=lambda s: (-s.created_at, -s.attempt))),
        tuple(sorted(map(_container, containers), key=lambda c: (-c.created_at, -c.restart_count))),
    )


def _sandbox(status: Mapping[str, Any]) -> RuntimeSandbox:
    network = status.get("network") or {}
    ips = [network.get("ip", "")] + [a.get("ip", "") for a in network.get("additional_ips", [])]
    options = _inner(status, "linux", "namespaces", "options")
    return RuntimeSandbox(
        id=status.get("id", ""),
        ready=status.get("state", "SANDBOX_READY") == "SANDBOX_READY",
        attempt=_inner(status, "metadata").get("attempt", 0),
        created_at=status.get("created_at", 0),
        ips=tuple(ip for ip in ips if ip),
        host_network=options.get("network") == "NODE",
        pod_name=_inner(status, "metadata").get("name", ""),
        pod_namespace=_inner(status, "metadata").get("namespace", ""),
    )


def _container(status: Mapping[str, Any]) -> RuntimeContainer:
    annotations = status.get("annotations") or {}
    meta = _inner(status, "metadata")
    count = annotations.get(RESTART_COUNT, "")
    return RuntimeContainer(
        id=status.get("id", ""),
        name=_inner(status, "labels").get(CONTAINER_NAME) or meta.get("name", ""),
        state=_STATES.get(str(status.get("state", "CONTAINER_CREATED")), "unknown"),
        restart_count=int(count) if count.isdigit() else meta.get("attempt", 0),
        created_at=status.get("created_at", 0),
        started_at=status.get("started_at", 0),
        finished_at=status.get("finished_at", 0),
        exit_code=status.get("exit_code", 0),
        image=_inner(status, "image").get("image", ""),
        image_ref=status.get("image_ref", "") or status.get("image_id", ""),
        reason=status.get("reason", ""),
        message=status.get("message", ""),
        hash=annotations.get(CONTAINER_HASH, ""),
        log_path=status.get("log_path", ""),
        annotations=annotations,
        user=_inner(status, "user", "linux") if status.get("user") else None,
        resources=_inner(status, "resources", "linux"),
    )


def _inner(value: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    for step in path:
        value = value.get(step) or {}
    return value


def moment(nanoseconds: int) -> datetime:
    """A runtime's time as a datetime; whole seconds are exact."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)
