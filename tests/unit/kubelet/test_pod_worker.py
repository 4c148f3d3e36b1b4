"""A pod's life: what the worker does when something is seen."""

from datetime import UTC, datetime, timedelta

import pytest

from tiphys.api.meta import Obj
from tiphys.kubelet.pod_worker import (
    DEADLINE,
    Life,
    Stage,
    cleaned,
    deadline_seconds,
    observe,
    stopped,
)
from unit.kubelet.builders import a_pod

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STARTED = {"startTime": "2026-01-01T00:00:00Z"}


def deleted(grace: int) -> Obj:
    pod = a_pod()
    pod["metadata"] |= {
        "deletionTimestamp": "2026-01-01T00:00:00Z",
        "deletionGracePeriodSeconds": grace,
    }
    return pod


@pytest.mark.parametrize(
    ("pod", "gone", "phase", "wanted"),
    [
        (a_pod(), False, "Running", Life()),
        (deleted(5), False, "Running", Life(Stage.TERMINATING, 5)),
        (a_pod(), False, "Succeeded", Life(Stage.TERMINATING, 30)),
        (a_pod(), True, "Running", Life(Stage.TERMINATING, 1, None, True)),
        (deleted(7), True, "Running", Life(Stage.TERMINATING, 7, None, True)),
        (
            a_pod(activeDeadlineSeconds=0, status=STARTED),
            False,
            "Running",
            Life(Stage.TERMINATING, 30, DEADLINE),
        ),
    ],
    ids=["runs", "deleted", "ended by itself", "object gone", "deleted and gone", "deadline"],
)
def test_a_syncing_pod(pod: Obj, gone: bool, phase: str, wanted: Life) -> None:
    assert observe(Life(), pod, gone=gone, phase=phase, now=NOW) == wanted


@pytest.mark.parametrize(("grace", "wanted"), [(3, 3), (60, 10)])
def test_a_second_deletion_shortens_the_grace_only(grace: int, wanted: int) -> None:
    life = Life(Stage.TERMINATING, 10)
    assert observe(life, deleted(grace), gone=False, phase="Running", now=NOW).grace_seconds == (
        wanted
    )


def test_the_stages_follow_one_another() -> None:
    life = stopped(Life(Stage.TERMINATING, 5, DEADLINE))
    assert (life.stage, life.verdict) == (Stage.TERMINATED, DEADLINE)
    assert cleaned(life).stage is Stage.FINISHED


def test_the_deadline_counts_from_the_start() -> None:
    pod = a_pod(activeDeadlineSeconds=60, status=STARTED)
    assert deadline_seconds(pod, NOW + timedelta(seconds=20)) == 40
    assert deadline_seconds(a_pod(), NOW) is None
