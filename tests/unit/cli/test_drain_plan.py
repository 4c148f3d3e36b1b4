"""Which pods `kubectl drain` moves, and what stands in its way."""

from typing import Any

import pytest

from tiphys.cli.kubectl.drain_plan import Allowed, plan, sentence

ALL = Allowed(ignore_daemon_sets=True, delete_empty_dir_data=True, force=True)
NONE = Allowed()


def a_pod(name: str, owner: str = "", phase: str = "Running", **volume: Any) -> dict[str, Any]:
    owners = [{"kind": owner, "name": "o", "controller": True}] if owner else []
    return {
        "metadata": {"name": name, "namespace": "n", "ownerReferences": owners},
        "spec": {"volumes": [{"name": "v", **volume}] if volume else []},
        "status": {"phase": phase},
    }


LOCAL = a_pod("local", "ReplicaSet", emptyDir={})
BARE = a_pod("bare")
DAEMON = a_pod("daemon", "DaemonSet", emptyDir={})
PLAIN = a_pod("plain", "ReplicaSet", configMap={"name": "c"})
DONE = a_pod("done", phase="Succeeded", emptyDir={})


@pytest.mark.parametrize(
    ("pod", "allowed", "moved", "errors", "warnings"),
    [
        (PLAIN, NONE, True, "", ""),
        (DONE, NONE, True, "", ""),
        (LOCAL, NONE, False, "cannot delete Pods with local storage", ""),
        (LOCAL, ALL, True, "", ""),
        (BARE, NONE, False, "cannot delete Pods that declare no controller", ""),
        (BARE, ALL, True, "", "deleting Pods that declare no controller: n/bare"),
        (DAEMON, NONE, False, "cannot delete DaemonSet-managed Pods", ""),
        (DAEMON, ALL, False, "", "ignoring DaemonSet-managed Pods: n/daemon"),
    ],
)
def test_flags_decide_what_may_go(
    pod: dict[str, Any], allowed: Allowed, moved: bool, errors: str, warnings: str
) -> None:
    found = plan([pod], allowed)
    assert found.pods == ([pod] if moved else [])
    assert sentence(found.errors).startswith(errors)
    assert bool(found.errors) == bool(errors)
    assert sentence(found.warnings) == warnings


def test_a_mirror_pod_stays() -> None:
    pod = a_pod("static")
    pod["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    assert plan([pod], ALL).pods == []
