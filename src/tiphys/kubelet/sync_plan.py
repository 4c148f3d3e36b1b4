"""What to do next for one pod, decided from its spec, the runtime's state and probe results.

Pure: the shell in pod_sync.py carries the plan out, and asks again when something has changed.
Upstream: pkg/kubelet/kuberuntime/kuberuntime_manager.go (computePodActions), SIG node KEP-753.
"""

from dataclasses import dataclass, field
from typing import Literal

from tiphys.api.meta import Obj
from tiphys.kubelet.cgroups import container_resources
from tiphys.kubelet.pod_spec import (
    container_hash,
    containers_of,
    is_host_network,
    is_sidecar,
    restart_policy,
)
from tiphys.kubelet.restart import init_container_restarts, restarts_after, should_start
from tiphys.kubelet.runtime_state import PodRuntime, RuntimeContainer

Verdict = Literal["success", "failure"]


@dataclass(frozen=True, slots=True)
class ProbeResults:
    """Results by container id; no entry where no probe has run."""

    liveness: dict[str, Verdict] = field(default_factory=dict)
    startup: dict[str, Verdict] = field(default_factory=dict)
    readiness: dict[str, Verdict] = field(default_factory=dict)


NO_RESULTS = ProbeResults()


@dataclass(frozen=True, slots=True)
class Kill:
    """A running container to end: the message is the event's, probe names who asked."""

    container_id: str
    name: str
    message: str
    probe: Literal["", "liveness", "startup"] = ""


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """Kills first, then the sandbox, then starts in order."""

    kill_pod: bool = False
    """Nothing of the pod has to run any more (or its sandbox is to be replaced)."""
    create_sandbox: bool = False
    attempt: int = 0
    kill: tuple[Kill, ...] = ()
    start_init: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    start_ephemeral: tuple[str, ...] = ()
    resize: tuple[str, ...] = ()
    """Running containers whose bounds change in place."""

    @property
    def is_empty(self) -> bool:
        return self == SyncPlan()


def plan(pod: Obj, runtime: PodRuntime, results: ProbeResults = NO_RESULTS) -> SyncPlan:
    """What a pod that should run needs now."""
    if _sandbox_is_gone(pod, runtime):
        return _new_sandbox(pod, runtime)
    ephemeral = tuple(
        c["name"] for c in containers_of(pod, "ephemeral") if runtime.newest(c["name"]) is None
    )
    init = _plan_init(pod, runtime, results)
    if init.pod_failed:
        return SyncPlan(kill_pod=True)
    if not init.done:
        return SyncPlan(
            kill=tuple(init.kill), start_init=tuple(init.start), start_ephemeral=ephemeral
        )
    kill, start, kept = _plan_main(pod, runtime, results)
    killed = {k.name for k in kill}
    resize = tuple(
        c["name"]
        for c in containers_of(pod, "main")
        if c["name"] not in killed and changed_resources(pod, c, runtime)
    )
    if not kept and not start:
        return SyncPlan(kill_pod=True)
    return SyncPlan(
        kill=(*init.kill, *kill),
        start_init=tuple(init.start),
        start=tuple(start),
        start_ephemeral=ephemeral,
        resize=resize,
    )


def changed_resources(pod: Obj, container: Obj, runtime: PodRuntime) -> set[str]:
    """Which of cpu and memory a running container has other bounds of than its spec says.

    KEP-1287. Runtimes that do not tell a container's bounds cannot resize it.
    """
    running = runtime.newest(container["name"])
    if running is None or running.state != "running" or not running.resources:
        return set()
    wanted = container_resources(pod, container, 0)
    return {
        resource
        for key, resource in _BOUNDS.items()
        if wanted.get(key, 0) != max(0, running.resources.get(key, 0))
    }


_BOUNDS = {"cpu_shares": "cpu", "cpu_quota": "cpu", "memory_limit_in_bytes": "memory"}


def _sandbox_is_gone(pod: Obj, runtime: PodRuntime) -> bool:
    newest = runtime.sandbox
    if newest is None or not newest.ready:
        return True
    if sum(s.ready for s in runtime.sandboxes) > 1:
        return True
    if newest.host_network != is_host_network(pod):
        return True
    return not newest.ips and not is_host_network(pod)


def _new_sandbox(pod: Obj, runtime: PodRuntime) -> SyncPlan:
    newest = runtime.sandbox
    attempt = newest.attempt + 1 if newest is not None else 0
    if restart_policy(pod) == "Never" and attempt and runtime.containers:
        mains = containers_of(pod, "main")
        if not any(should_start(pod, c, runtime) and _has_rules(c) for c in mains):
            return SyncPlan(kill_pod=True)
    start = [c["name"] for c in containers_of(pod, "main") if _wanted_again(pod, c, runtime)]
    if not start:
        return SyncPlan(kill_pod=True)
    init = containers_of(pod, "init")
    return SyncPlan(
        kill_pod=newest is not None,
        create_sandbox=True,
        attempt=attempt,
        start_init=(init[0]["name"],) if init else (),
        start=() if init else tuple(start),
    )


def _has_rules(container: Obj) -> bool:
    return bool(container.get("restartPolicy") or container.get("restartPolicyRules"))


def _wanted_again(pod: Obj, container: Obj, runtime: PodRuntime) -> bool:
    """In a new sandbox everything runs again but what has ended for good."""
    newest = runtime.newest(container["name"])
    if newest is None or newest.state != "exited":
        return True
    return restarts_after(pod, container, newest.exit_code)


@dataclass(slots=True)
class _Init:
    done: bool = False
    pod_failed: bool = False
    start: list[str] = field(default_factory=list)
    kill: list[Kill] = field(default_factory=list)


def has_initialized(pod: Obj, runtime: PodRuntime) -> bool:
    """Whether a main container of this sandbox has run: init containers are not run again."""
    sandbox = runtime.sandbox
    since = sandbox.created_at if sandbox is not None else 0
    for container in containers_of(pod, "main"):
        newest = runtime.newest(container["name"])
        if newest is not None and (
            newest.state in ("running", "created") or newest.created_at >= since
        ):
            return True
    return False


def _plan_init(pod: Obj, runtime: PodRuntime, results: ProbeResults) -> _Init:
    containers = containers_of(pod, "init")
    found = _Init()
    if has_initialized(pod, runtime):
        found.done = True
        for container in containers:
            if is_sidecar(container):
                _keep_sidecar(container, runtime, results, found)
        return found
    known = [i for i, c in enumerate(containers) if runtime.current(c["name"]) is not None]
    if not containers:
        found.done = True
    elif not known:
        found.start.append(containers[0]["name"])
    else:
        last = known[-1]
        for container in containers[:last]:
            if is_sidecar(container):
                _keep_sidecar(container, runtime, results, found)
        if _passed(pod, containers[last], runtime, results, found):
            if last == len(containers) - 1:
                found.done = True
            else:
                found.start.append(containers[last + 1]["name"])
    return found


def _passed(
    pod: Obj, container: Obj, runtime: PodRuntime, results: ProbeResults, found: _Init
) -> bool:
    """Whether the furthest init container lets the next one begin."""
    newest = runtime.current(container["name"])
    assert newest is not None
    if is_sidecar(container):
        _keep_sidecar(container, runtime, results, found)
        return newest.state == "running" and is_started(container, newest, results)
    if newest.state == "exited":
        if newest.exit_code == 0:
            return True
        if init_container_restarts(pod, container, newest.exit_code):
            found.start.append(container["name"])
        else:
            found.pod_failed = True
    elif newest.state in ("created", "unknown"):
        found.start.append(container["name"])
    return False


def is_started(container: Obj, running: RuntimeContainer, results: ProbeResults) -> bool:
    """A running container counts as started once its startup probe, if any, has succeeded."""
    return not container.get("startupProbe") or results.startup.get(running.id) == "success"


def _keep_sidecar(container: Obj, runtime: PodRuntime, results: ProbeResults, found: _Init) -> None:
    newest = runtime.newest(container["name"])
    if newest is None or newest.state != "running":
        found.start.append(container["name"])
        return
    for probe, failed in _failed_probes(newest, results):
        if failed:
            message = f"Init container {container['name']} failed {probe} probe"
            found.kill.append(Kill(newest.id, container["name"], message, probe))
            found.start.append(container["name"])
            return


def _failed_probes(
    running: RuntimeContainer, results: ProbeResults
) -> tuple[tuple[Literal["liveness", "startup"], bool], ...]:
    return (
        ("liveness", results.liveness.get(running.id) == "failure"),
        ("startup", results.startup.get(running.id) == "failure"),
    )


def _plan_main(
    pod: Obj, runtime: PodRuntime, results: ProbeResults
) -> tuple[list[Kill], list[str], int]:
    """Kills, starts, and how many containers stay as they are."""
    kill: list[Kill] = []
    start: list[str] = []
    kept = 0
    for container in containers_of(pod, "main"):
        name = container["name"]
        newest = runtime.newest(name)
        if newest is None or newest.state != "running":
            if should_start(pod, container, runtime):
                start.append(name)
            continue
        reason = _why_replaced(pod, container, newest, results)
        if reason is None and _resize_restarts(pod, container, runtime):
            reason = f"Container {name} resize requires restart", "", True
        if reason is None:
            kept += 1
            continue
        message, probe, again = reason
        if again:
            start.append(name)
        kill.append(Kill(newest.id, name, message, probe))
    return kill, start, kept


def _resize_restarts(pod: Obj, container: Obj, runtime: PodRuntime) -> bool:
    changed = changed_resources(pod, container, runtime)
    return any(
        policy.get("resourceName") in changed and policy.get("restartPolicy") == "RestartContainer"
        for policy in container.get("resizePolicy") or []
    )


def _why_replaced(
    pod: Obj, container: Obj, running: RuntimeContainer, results: ProbeResults
) -> tuple[str, Literal["", "liveness", "startup"], bool] | None:
    """Message, probe and whether the container starts again; None where it may go on."""
    name = container["name"]
    if running.hash and running.hash != container_hash(container):
        # A changed spec starts again whatever the policy says.
        return f"Container {name} definition changed, will be restarted", "", True
    policy = container.get("restartPolicy") or restart_policy(pod)
    again = policy != "Never"
    for probe, failed in _failed_probes(running, results):
        if failed:
            end = ", will be restarted" if again else ""
            return f"Container {name} failed {probe} probe{end}", probe, again
    return None
