"""Statuses as 1.36 was recorded to write them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tiphys.api.meta import Obj
from tiphys.kubelet.container_status import Observed, with_lost_containers_ended
from tiphys.kubelet.pod_status import Verdict, pod_status, rejected_status
from tiphys.kubelet.runtime_state import EMPTY, PodRuntime
from tiphys.kubelet.sync_plan import ProbeResults
from unit.kubelet.builders import a_container, a_pod, a_run, a_runtime

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def status_of(pod: Obj, runtime: PodRuntime, before: Obj | None = None, **more: Any) -> Obj:
    waiting = more.pop("waiting", {})
    results = more.pop("results", ProbeResults())
    observed = Observed(runtime, "tiphys", waiting, results)
    return pod_status(pod, observed, before=before or {}, host_ips=("1.2.3.4",), now=NOW, **more)


def briefly(status: Obj) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c.get("reason", "")) for c in status["conditions"]}


def test_a_new_pod_is_pending_and_creates_its_containers() -> None:
    status = status_of(a_pod(), EMPTY)
    assert status["phase"] == "Pending"
    assert status["containerStatuses"] == [
        {
            "name": "c",
            "state": {"waiting": {"reason": "ContainerCreating"}},
            "lastState": {},
            "ready": False,
            "restartCount": 0,
            "image": "busybox",
            "imageID": "",
            "started": False,
        }
    ]
    assert briefly(status) == {
        "PodReadyToStartContainers": ("False", ""),
        "Initialized": ("True", ""),
        "Ready": ("False", "ContainersNotReady"),
        "ContainersReady": ("False", "ContainersNotReady"),
        "PodScheduled": ("True", ""),
    }


def test_a_running_pod_has_everything() -> None:
    """node/status/1 and node/run of the recorded answers."""
    status = status_of(
        a_pod(a_container(volumeMounts=[{"name": "v", "mountPath": "/v"}])), a_runtime(a_run())
    )
    assert status == {
        "phase": "Running",
        "conditions": [
            {
                "type": kind,
                "status": "True",
                "lastProbeTime": None,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
                "observedGeneration": 1,
            }
            for kind in (
                "PodReadyToStartContainers",
                "Initialized",
                "Ready",
                "ContainersReady",
                "PodScheduled",
            )
        ],
        "hostIP": "1.2.3.4",
        "hostIPs": [{"ip": "1.2.3.4"}],
        "podIP": "10.0.0.1",
        "podIPs": [{"ip": "10.0.0.1"}],
        "startTime": "2026-01-01T00:00:00Z",
        "qosClass": "BestEffort",
        "observedGeneration": 1,
        "containerStatuses": [
            {
                "name": "c",
                "state": {"running": {"startedAt": "1970-01-01T00:00:20Z"}},
                "lastState": {},
                "ready": True,
                "restartCount": 0,
                "image": "docker.io/library/busybox:latest",
                "imageID": "sha256:1",
                "containerID": "tiphys://c-0",
                "resources": {},
                "started": True,
                "volumeMounts": [{"name": "v", "mountPath": "/v"}],
            }
        ],
    }


def test_a_completed_pod_says_so_in_its_conditions() -> None:
    """node/run/2."""
    status = status_of(a_pod(policy="Never"), a_runtime(a_run(state="exited"), ready=False))
    assert status["phase"] == "Succeeded"
    assert briefly(status) == {
        "PodReadyToStartContainers": ("False", ""),
        "Initialized": ("True", "PodCompleted"),
        "Ready": ("False", "PodCompleted"),
        "ContainersReady": ("False", "PodCompleted"),
        "PodScheduled": ("True", ""),
    }


def test_a_crash_loop_waits_with_its_last_state() -> None:
    """node/restart/3."""
    pod = a_pod()
    reason = ("CrashLoopBackOff", "back-off 10s restarting failed container=c pod=p_ns(u1)")
    runtime = a_runtime(a_run(state="exited", code=2, attempt=1))
    status = status_of(pod, runtime, waiting={"c": reason})
    found = status["containerStatuses"][0]
    assert found["state"] == {"waiting": {"reason": reason[0], "message": reason[1]}}
    assert found["lastState"]["terminated"]["exitCode"] == 2
    assert (found["restartCount"], status["phase"]) == (1, "Running")


def test_a_deleted_pod_shows_the_end_and_not_the_back_off() -> None:
    """node/end/15."""
    pod = a_pod()
    pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    runtime = a_runtime(a_run(state="exited", code=1), ready=False)
    status = status_of(pod, runtime, waiting={"c": ("CrashLoopBackOff", "x")}, ended=True)
    assert status["phase"] == "Failed"
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 1


def test_what_never_started_is_lost_when_the_pod_ends() -> None:
    """node/end/17."""
    pod = a_pod()
    final = with_lost_containers_ended(status_of(pod, a_runtime(ready=False), ended=True), pod)
    assert final["phase"] == "Failed"
    assert final["containerStatuses"][0]["state"] == {
        "terminated": {
            "exitCode": 137,
            "reason": "ContainerStatusUnknown",
            "message": "The container could not be located when the pod was terminated",
            "startedAt": None,
            "finishedAt": None,
        }
    }
    assert briefly(final)["Ready"] == ("False", "ContainersNotReady")


def test_init_containers_that_failed_for_good_fail_the_pod() -> None:
    """node/init/3."""
    pod = a_pod(init=[a_container("a"), a_container("b")], policy="Never")
    status = status_of(pod, a_runtime(a_run("a", "exited", code=3), ready=False), ended=True)
    assert status["phase"] == "Failed"
    assert briefly(status)["Initialized"] == ("False", "ContainersNotInitialized")
    assert status["conditions"][1]["message"] == "containers with incomplete status: [a b]"
    assert [s["state"].popitem()[0] for s in status["initContainerStatuses"]] == [
        "terminated",
        "waiting",
    ]


def test_a_running_init_container_is_started_but_not_ready() -> None:
    """node/init/6."""
    status = status_of(a_pod(init=[a_container("a")]), a_runtime(a_run("a")))
    assert status["phase"] == "Pending"
    found = status["initContainerStatuses"][0]
    assert (found["started"], found["ready"]) == (True, False)
    assert status["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}


def test_a_sidecar_before_its_startup_probe_holds_the_pod_back() -> None:
    """node/init/12."""
    sidecar = a_container("s", restartPolicy="Always", startupProbe={"exec": {}})
    status = status_of(a_pod(init=[sidecar]), a_runtime(a_run("s")))
    assert status["phase"] == "Pending"
    assert status["conditions"][2]["message"] == "containers with unready status: [s c]"


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ([], 'corresponding condition of pod readiness gate "x/y" does not exist.'),
        (
            [{"type": "x/y", "status": "False"}],
            'the status of pod readiness gate "x/y" is not "True", but False',
        ),
    ],
)
def test_readiness_gates(conditions: list[Obj], message: str) -> None:
    """node/probe/19; others' conditions stay and come first."""
    pod = a_pod(readinessGates=[{"conditionType": "x/y"}], status={"conditions": conditions})
    status = status_of(pod, a_runtime(a_run()))
    ready = next(c for c in status["conditions"] if c["type"] == "Ready")
    assert (ready["reason"], ready["message"]) == ("ReadinessGatesNotReady", message)
    assert status["conditions"][: len(conditions)] == conditions


def test_readiness_follows_the_probe() -> None:
    pod = a_pod(a_container(readinessProbe={"exec": {}}))
    unready = status_of(pod, a_runtime(a_run()))
    ready = status_of(pod, a_runtime(a_run()), results=ProbeResults(readiness={"c-0": "success"}))
    assert [s["containerStatuses"][0]["ready"] for s in (unready, ready)] == [False, True]


def test_a_transition_time_is_kept_while_the_status_is() -> None:
    old = {"type": "Initialized", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}
    status = status_of(a_pod(status={"conditions": [old]}), a_runtime(a_run()))
    times = {c["type"]: c["lastTransitionTime"] for c in status["conditions"]}
    assert times["Initialized"] == "2020-01-01T00:00:00Z"
    assert times["Ready"] == "2026-01-01T00:00:00Z"


def test_resources_show_what_was_asked_for() -> None:
    """node/resources/3."""
    resources = {
        "limits": {"cpu": "50m", "memory": "16Mi"},
        "requests": {"cpu": "50m", "memory": "16Mi"},
    }
    status = status_of(a_pod(a_container(resources=resources)), a_runtime(a_run()))
    assert status["qosClass"] == "Guaranteed"
    assert (status["resources"], status["allocatedResources"]) == (resources, resources["requests"])


def test_a_deadline_fails_the_pod() -> None:
    """node/end/19."""
    verdict = Verdict("DeadlineExceeded", "too long")
    status = status_of(a_pod(), a_runtime(a_run()), verdict=verdict)
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")
    assert briefly(status)["Ready"] == ("False", "PodFailed")


def test_a_refused_pod_has_no_conditions() -> None:
    """node/security/22."""
    status = rejected_status(a_pod(), Verdict("SysctlForbidden", 'forbidden sysctl: "x"'), NOW)
    assert status["message"] == 'Pod was rejected: forbidden sysctl: "x"'
    assert "conditions" not in status


def test_a_terminal_phase_is_final() -> None:
    before = {"phase": "Failed", "reason": "Evicted", "message": "m"}
    status = status_of(a_pod(), a_runtime(a_run()), before)
    assert (status["phase"], status["reason"]) == ("Failed", "Evicted")
