"""Security contexts as CRI takes them."""

import pytest

from tiphys.api.meta import Obj
from tiphys.kubelet.environment import ConfigError
from tiphys.kubelet.security import check_non_root, container_context, sandbox_context
from unit.kubelet.builders import a_container, a_pod


def test_the_pods_user_and_groups_hold_where_the_container_says_nothing() -> None:
    pod = a_pod(
        securityContext={
            "runAsUser": 1000,
            "runAsGroup": 3000,
            "fsGroup": 2000,
            "supplementalGroups": [4000, 5000],
        }
    )
    found = container_context(pod, a_container(), {})
    assert found["run_as_user"] == {"value": 1000}
    assert found["run_as_group"] == {"value": 3000}
    assert found["supplemental_groups"] == [2000, 4000, 5000]
    assert found["seccomp"] == {"profile_type": "Unconfined"}
    own = container_context(pod, a_container(securityContext={"runAsUser": 7}), {})
    assert own["run_as_user"] == {"value": 7}


def test_an_images_user_is_used_last() -> None:
    assert container_context(a_pod(), a_container(), {"username": "app"})["run_as_username"] == (
        "app"
    )
    assert container_context(a_pod(), a_container(), {"uid": {"value": 5}})["run_as_user"] == {
        "value": 5
    }


def test_privileged_containers_see_everything() -> None:
    container = a_container(securityContext={"privileged": True})
    found = container_context(a_pod(container), container, {})
    assert found["privileged"]
    assert "masked_paths" not in found
    assert sandbox_context(a_pod(container))["privileged"]


def test_no_escalation_means_no_new_privileges() -> None:
    container = a_container(securityContext={"allowPrivilegeEscalation": False})
    assert container_context(a_pod(), container, {})["no_new_privs"]


def test_namespaces() -> None:
    options = sandbox_context(a_pod(hostNetwork=True, hostPID=True))["namespace_options"]
    assert options == {"network": "NODE", "pid": "NODE", "ipc": "POD"}
    shared = sandbox_context(a_pod(shareProcessNamespace=True))["namespace_options"]
    assert shared["pid"] == "POD"
    target = container_context(a_pod(), a_container(), {}, target_id="t")["namespace_options"]
    assert (target["pid"], target["target_id"]) == ("TARGET", "t")


@pytest.mark.parametrize(
    ("context", "image", "message"),
    [
        ({"runAsUser": 0}, {}, "container's runAsUser breaks non-root policy"),
        ({}, {}, "container has runAsNonRoot and image will run as root"),
        ({}, {"username": "app"}, r"image has non-numeric user \(app\)"),
        ({"runAsUser": 5}, {}, None),
        ({}, {"uid": {"value": 5}}, None),
    ],
)
def test_run_as_non_root(context: Obj, image: Obj, message: str | None) -> None:
    container = a_container(securityContext={"runAsNonRoot": True, **context})
    if message is None:
        check_non_root(a_pod(), container, image)
        return
    with pytest.raises(ConfigError, match=message):
        check_non_root(a_pod(), container, image)
