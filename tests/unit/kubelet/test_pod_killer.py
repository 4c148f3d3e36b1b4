"""In which order a pod's containers end, and what counts as running."""

import pytest

from tiphys.kubelet.pod_killer import ordered, probe_grace
from tiphys.kubelet.runtime_state import State
from tiphys.kubelet.sync_plan import Kill
from unit.kubelet.builders import a_container, a_pod, a_run, a_runtime


def test_sidecars_end_last_and_in_reverse_order() -> None:
    sidecars = [a_container(n, restartPolicy="Always") for n in ("s1", "s2")]
    pod = a_pod(a_container("a"), a_container("b"), init=sidecars)
    runtime = a_runtime(a_run("b"), a_run("a"), a_run("s2"), a_run("s1"))
    assert [[c.name for c in batch] for batch in ordered(pod, runtime)] == [
        ["b", "a"],
        ["s2"],
        ["s1"],
    ]


@pytest.mark.parametrize(
    ("state", "ready", "wanted"),
    [
        ("running", False, True),
        ("unknown", False, True),
        ("created", False, False),
        ("exited", False, False),
        ("exited", True, True),
    ],
)
def test_what_is_left_to_stop(state: State, ready: bool, wanted: bool) -> None:
    """A container that was made and never started has nothing to stop."""
    assert a_runtime(a_run(state=state), ready=ready).is_running is wanted


def test_a_probe_may_have_a_grace_of_its_own() -> None:
    container = a_container(livenessProbe={"terminationGracePeriodSeconds": 1})
    pod = a_pod(container, terminationGracePeriodSeconds=300)
    assert probe_grace(pod, container, Kill("id", "c", "m", "liveness")) == 1
    assert probe_grace(pod, container, Kill("id", "c", "m", "startup")) == 300
