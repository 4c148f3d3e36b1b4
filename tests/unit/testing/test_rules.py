"""Pod, rule and time give a status: what simulated pods do, second by second."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tiphys.testing.rules import (
    ANNOTATION,
    FINISHES,
    RUNNING,
    Place,
    Rule,
    RuleError,
    parse,
    pause_seconds,
    rule_of,
    status_at,
)

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
PLACE = Place("127.0.0.1", "10.244.0.2")


def a_pod(policy: str = "Always", **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "p", "namespace": "default", "uid": "u"} | metadata,
        "spec": {"restartPolicy": policy, "containers": [{"name": "main", "image": "image"}]},
    }


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("running", RUNNING),
        ("ready after 5s", Rule(ready_seconds=5)),
        ("unready", Rule(ready_seconds=None)),
        ("starts after 1m30s, ready after 2s", Rule(start_seconds=90, ready_seconds=2)),
        ("exit 3", Rule(exit_code=3)),
        ("exit 0 after 2h", Rule(exit_code=0, exit_seconds=7200)),
        ("crash loop", Rule(exit_code=1, exit_seconds=1)),
        ("never ImagePullBackOff", Rule(never="ImagePullBackOff")),
        ("never", Rule(never="ContainerCreating")),
    ],
)
def test_parse(text: str, rule: Rule) -> None:
    assert parse(text) == rule


@pytest.mark.parametrize("text", ["", "sleeping", "exit", "exit 1 after soon", "running; unready"])
def test_what_is_no_rule_is_named(text: str) -> None:
    with pytest.raises(RuleError, match="is no rule for pods: write running"):
        parse(text)


def test_the_annotation_counts_before_the_owner() -> None:
    job = [{"kind": "Job", "controller": True, "name": "j", "uid": "j"}]
    assert rule_of(a_pod()) == RUNNING
    assert rule_of(a_pod(ownerReferences=job)) == FINISHES
    said = a_pod(ownerReferences=job, annotations={ANNOTATION: "exit 7"})
    assert rule_of(said).exit_code == 7


@pytest.mark.parametrize(
    ("rule", "policy", "seconds", "phase", "ready", "state", "restarts", "following"),
    [
        ("running", "Always", 0, "Running", True, "running", 0, None),
        ("starts after 3s", "Always", 1, "Pending", False, "ContainerCreating", 0, 2),
        ("ready after 5s", "Always", 1, "Running", False, "running", 0, 4),
        ("ready after 5s", "Always", 5, "Running", True, "running", 0, None),
        ("unready", "Always", 500, "Running", False, "running", 0, None),
        ("exit 0 after 2s", "Never", 1, "Running", True, "running", 0, 1),
        ("exit 0 after 2s", "Never", 2, "Succeeded", False, "terminated", 0, None),
        ("exit 4 after 2s", "Never", 9, "Failed", False, "terminated", 0, None),
        ("exit 0 after 2s", "OnFailure", 9, "Succeeded", False, "terminated", 0, None),
        ("crash loop", "Always", 1.5, "Running", True, "running", 1, 0.5),
        ("crash loop", "Always", 3, "Running", False, "CrashLoopBackOff", 1, 9),
        ("crash loop", "OnFailure", 12.5, "Running", True, "running", 2, 0.5),
        ("never ImagePullBackOff", "Always", 99, "Pending", False, "ImagePullBackOff", 0, None),
    ],
)
def test_status(
    rule: str,
    policy: str,
    seconds: float,
    phase: str,
    ready: bool,
    state: str,
    restarts: int,
    following: float | None,
) -> None:
    now = BEGAN + timedelta(seconds=seconds)
    status, coming = status_at(a_pod(policy), parse(rule), PLACE, BEGAN, now)
    [container] = status["containerStatuses"]
    found = next(iter(container["state"]))
    shown = container["state"]["waiting"]["reason"] if found == "waiting" else found
    conditions = {c["type"]: c["status"] for c in status["conditions"]}
    assert (status["phase"], container["ready"], shown) == (phase, ready, state)
    assert container["restartCount"] == restarts
    assert conditions["Ready"] == ("True" if ready else "False")
    assert coming == (None if following is None else pytest.approx(following))


def test_pauses_double_up_to_five_minutes() -> None:
    assert [pause_seconds(n, 1) for n in range(8)] == [0, 10, 20, 40, 80, 160, 300, 300]
    assert pause_seconds(5, 601) == 0


def test_a_pod_that_is_being_deleted_has_ended() -> None:
    pod = a_pod(deletionTimestamp="2026-01-01T00:00:05Z")
    status, _ = status_at(pod, RUNNING, PLACE, BEGAN, BEGAN + timedelta(seconds=5))
    [container] = status["containerStatuses"]
    assert container["state"]["terminated"]["exitCode"] == 143
    assert status["phase"] == "Failed"


def test_init_containers_end_before_the_others_run() -> None:
    pod = a_pod()
    pod["spec"]["initContainers"] = [{"name": "first", "image": "image"}]
    waiting, _ = status_at(pod, parse("starts after 2s"), PLACE, BEGAN, BEGAN)
    assert waiting["initContainerStatuses"][0]["state"] == {
        "waiting": {"reason": "PodInitializing"}
    }
    running, _ = status_at(pod, RUNNING, PLACE, BEGAN, BEGAN)
    assert running["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 0
    assert running["phase"] == "Running"
