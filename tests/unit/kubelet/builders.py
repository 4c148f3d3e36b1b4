"""Pods and runtime states for the kubelet's tests, with defaults filled in."""

from typing import Any

from tiphys.api.meta import Obj
from tiphys.kubelet.pod_spec import container_hash
from tiphys.kubelet.runtime_state import (
    PodRuntime,
    RuntimeContainer,
    RuntimeSandbox,
    State,
)

SECOND = 1_000_000_000


def a_container(name: str = "c", **fields: Any) -> Obj:
    return {"name": name, "image": "busybox", **fields}


def a_pod(
    *containers: Obj,
    init: list[Obj] | None = None,
    policy: str = "Always",
    status: Obj | None = None,
    **spec: Any,
) -> Obj:
    return {
        "metadata": {"name": "p", "namespace": "ns", "uid": "u1", "generation": 1},
        "spec": {
            "containers": list(containers) or [a_container()],
            "restartPolicy": policy,
            **({"initContainers": init} if init else {}),
            **spec,
        },
        "status": status or {},
    }


def a_run(
    name: str = "c",
    state: State = "running",
    *,
    code: int = 0,
    attempt: int = 0,
    created: int = 20,
    finished: int = 30,
    hashed: str | None = None,
    reason: str = "",
) -> RuntimeContainer:
    """One instance of a container; times are seconds, the sandbox's is 10."""
    return RuntimeContainer(
        id=f"{name}-{attempt}",
        name=name,
        state=state,
        restart_count=attempt,
        created_at=created * SECOND,
        started_at=created * SECOND,
        finished_at=finished * SECOND if state == "exited" else 0,
        exit_code=code,
        image="docker.io/library/busybox:latest",
        image_ref="sha256:1",
        hash=container_hash(a_container(name)) if hashed is None else hashed,
        reason=reason,
    )


def a_runtime(*containers: RuntimeContainer, ready: bool = True, **sandbox: Any) -> PodRuntime:
    """Newest containers first, as given."""
    fields: dict[str, Any] = {"created_at": 10 * SECOND, "ips": ("10.0.0.1",)} | sandbox
    return PodRuntime((RuntimeSandbox("s", ready, **fields),), containers)
