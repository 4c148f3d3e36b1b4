"""What a pod needs next. Upstream's rules: kuberuntime_manager.go computePodActions."""

from dataclasses import replace

import pytest

from tiphys.api.meta import Obj
from tiphys.kubelet.runtime_state import EMPTY, PodRuntime
from tiphys.kubelet.sync_plan import Kill, ProbeResults, SyncPlan, plan
from unit.kubelet.builders import a_container, a_pod, a_run, a_runtime

INIT = [a_container("a"), a_container("b")]
SIDECAR = [a_container("s", restartPolicy="Always")]
PROBED_SIDECAR = [a_container("s", restartPolicy="Always", startupProbe={"exec": {}})]

CASES: dict[str, tuple[Obj, PodRuntime, SyncPlan]] = {
    "new pod": (a_pod(), EMPTY, SyncPlan(create_sandbox=True, start=("c",))),
    "new pod with init": (
        a_pod(init=INIT),
        EMPTY,
        SyncPlan(create_sandbox=True, start_init=("a",)),
    ),
    "sandbox there": (a_pod(), a_runtime(), SyncPlan(start=("c",))),
    "all runs": (a_pod(), a_runtime(a_run()), SyncPlan()),
    "crashed": (a_pod(), a_runtime(a_run(state="exited", code=1)), SyncPlan(start=("c",))),
    "made, never started": (a_pod(), a_runtime(a_run(state="created")), SyncPlan(start=("c",))),
    "done for good": (
        a_pod(policy="OnFailure"),
        a_runtime(a_run(state="exited")),
        SyncPlan(kill_pod=True),
    ),
    "failed for good": (
        a_pod(policy="Never"),
        a_runtime(a_run(state="exited", code=1)),
        SyncPlan(kill_pod=True),
    ),
    "one done, one runs": (
        a_pod(a_container("a"), a_container("b"), policy="Never"),
        a_runtime(a_run("a", "exited"), a_run("b")),
        SyncPlan(),
    ),
    "sandbox died": (
        a_pod(),
        a_runtime(a_run(state="exited"), ready=False),
        SyncPlan(kill_pod=True, create_sandbox=True, attempt=1, start=("c",)),
    ),
    "sandbox died, never restarted": (
        a_pod(policy="Never"),
        a_runtime(a_run(state="exited"), ready=False),
        SyncPlan(kill_pod=True),
    ),
    "sandbox without address": (
        a_pod(),
        a_runtime(ips=()),
        SyncPlan(kill_pod=True, create_sandbox=True, attempt=1, start=("c",)),
    ),
    "host network needs no address": (
        a_pod(hostNetwork=True),
        a_runtime(a_run(), ips=(), host_network=True),
        SyncPlan(),
    ),
    "image changed": (
        a_pod(),
        a_runtime(a_run(hashed="old")),
        SyncPlan(
            kill=(Kill("c-0", "c", "Container c definition changed, will be restarted"),),
            start=("c",),
        ),
    ),
    "first init runs": (a_pod(init=INIT), a_runtime(a_run("a")), SyncPlan()),
    "first init done": (
        a_pod(init=INIT),
        a_runtime(a_run("a", "exited")),
        SyncPlan(start_init=("b",)),
    ),
    "init failed": (
        a_pod(init=INIT),
        a_runtime(a_run("a", "exited", code=1)),
        SyncPlan(start_init=("a",)),
    ),
    "init failed, never restarted": (
        a_pod(init=INIT, policy="Never"),
        a_runtime(a_run("a", "exited", code=1)),
        SyncPlan(kill_pod=True),
    ),
    "init done": (
        a_pod(init=INIT),
        a_runtime(a_run("b", "exited"), a_run("a", "exited")),
        SyncPlan(start=("c",)),
    ),
    "init of an older sandbox counts for nothing": (
        a_pod(init=INIT),
        a_runtime(a_run("a", "exited", created=5)),
        SyncPlan(start_init=("a",)),
    ),
    "sidecar runs": (a_pod(init=SIDECAR), a_runtime(a_run("s")), SyncPlan(start=("c",))),
    "sidecar not started yet": (a_pod(init=PROBED_SIDECAR), a_runtime(a_run("s")), SyncPlan()),
    "sidecar ended beside main": (
        a_pod(init=SIDECAR),
        a_runtime(a_run("s", "exited"), a_run()),
        SyncPlan(start_init=("s",)),
    ),
    "ephemeral asked for": (
        a_pod(ephemeralContainers=[a_container("dbg")]),
        a_runtime(a_run()),
        SyncPlan(start_ephemeral=("dbg",)),
    ),
}


@pytest.mark.parametrize(("pod", "runtime", "wanted"), CASES.values(), ids=CASES.keys())
def test_plan(pod: Obj, runtime: PodRuntime, wanted: SyncPlan) -> None:
    assert plan(pod, runtime) == wanted


@pytest.mark.parametrize(
    ("policy", "message", "start"),
    [
        ("Always", "Container c failed liveness probe, will be restarted", ("c",)),
        ("Never", "Container c failed liveness probe", ()),
    ],
)
def test_a_failed_liveness_probe_ends_the_container(
    policy: str, message: str, start: tuple[str, ...]
) -> None:
    found = plan(
        a_pod(a_container(), a_container("d"), policy=policy),
        a_runtime(a_run(), a_run("d")),
        ProbeResults(liveness={"c-0": "failure"}),
    )
    assert found == SyncPlan(kill=(Kill("c-0", "c", message, "liveness"),), start=start)


def test_a_sidecar_that_does_not_start_is_replaced() -> None:
    found = plan(
        a_pod(init=PROBED_SIDECAR),
        a_runtime(a_run("s")),
        ProbeResults(startup={"s-0": "failure"}),
    )
    kill = Kill("s-0", "s", "Init container s failed startup probe", "startup")
    assert found == SyncPlan(kill=(kill,), start_init=("s",))


def test_a_started_sidecar_lets_the_rest_begin() -> None:
    results = ProbeResults(startup={"s-0": "success"})
    assert plan(a_pod(init=PROBED_SIDECAR), a_runtime(a_run("s")), results) == SyncPlan(
        start=("c",)
    )


@pytest.mark.parametrize(
    ("policy", "wanted"),
    [
        ([], SyncPlan(resize=("c",))),
        (
            [{"resourceName": "memory", "restartPolicy": "RestartContainer"}],
            SyncPlan(kill=(Kill("c-0", "c", "Container c resize requires restart"),), start=("c",)),
        ),
        (
            [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}],
            SyncPlan(resize=("c",)),
        ),
    ],
    ids=["in place", "by a restart", "another resource"],
)
def test_new_bounds(policy: list[Obj], wanted: SyncPlan) -> None:
    """node/resources/12 and 14."""
    container = a_container(resources={"limits": {"memory": "64Mi"}}, resizePolicy=policy)
    running = replace(a_run(), resources={"cpu_shares": 2, "memory_limit_in_bytes": 32 << 20})
    assert plan(a_pod(container), a_runtime(running)) == wanted
