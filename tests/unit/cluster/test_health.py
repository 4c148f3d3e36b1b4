"""What `tiphys status` says of a cluster's parts, and its exit code."""

from dataclasses import replace

import pytest

from tiphys.cluster.health import (
    CONFIGURED,
    ERROR,
    IRRELEVANT,
    MISCONFIGURED,
    RUNNING,
    STOPPED,
    Health,
    exit_code,
    state,
)

WELL = Health(RUNNING, RUNNING, CONFIGURED, {"n": RUNNING, "n-m02": RUNNING})


@pytest.mark.parametrize(
    ("health", "code"),
    [
        pytest.param(WELL, 0, id="well"),
        pytest.param(replace(WELL, kubelets={}), 0, id="control-plane-alone"),
        pytest.param(replace(WELL, kubeconfig=IRRELEVANT), 0, id="context-not-wanted"),
        pytest.param(replace(WELL, api_server=ERROR), 2, id="api-does-not-answer"),
        pytest.param(replace(WELL, kubelets={"n": RUNNING, "m": ERROR}), 2, id="a-node-not-ready"),
        pytest.param(replace(WELL, kubeconfig=MISCONFIGURED), 4, id="kubeconfig"),
        pytest.param(Health(STOPPED, STOPPED, MISCONFIGURED, {"n": STOPPED}), 7, id="stopped"),
    ],
)
def test_exit_codes_are_minikubes(health: Health, code: int) -> None:
    assert exit_code(health) == code


def test_a_living_process_that_does_not_work_does_not_run() -> None:
    assert [state(alive=a, works=w) for a, w in ((True, True), (True, False), (False, False))] == [
        RUNNING,
        ERROR,
        STOPPED,
    ]
