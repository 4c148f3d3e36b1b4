"""What a resize may change of a pod, and what it reads of the given one."""

from typing import Any

import pytest

from tiphys.apiserver.resources.core.pod_resize_rules import resized, validate_resize

RESOURCES = {
    "requests": {"cpu": "100m", "memory": "64Mi"},
    "limits": {"cpu": "200m", "memory": "128Mi"},
}


def a_pod(resources: Any = RESOURCES, name: str = "c", **more: Any) -> dict[str, Any]:
    container = {"name": name, "image": "i", "resources": resources} | more
    status = {"qosClass": "Burstable"}
    return {"metadata": {"name": "a"}, "spec": {"containers": [container]}, "status": status}


@pytest.mark.parametrize(
    ("new", "wanted"),
    [
        (a_pod(), []),
        (a_pod(image="other"), []),
        (a_pod(RESOURCES | {"requests": {"cpu": "150m", "memory": "1Mi"}}), []),
        (a_pod(RESOURCES | {"requests": RESOURCES["limits"]}), ["spec"]),
        (a_pod({"requests": RESOURCES["requests"]}), ["spec.containers[0].resources.limits"]),
        (
            a_pod({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1"}}),
            ["spec.containers[0].resources.requests"],
        ),
        (a_pod(RESOURCES | {"claims": [{"name": "x"}]}), ["spec"]),
        (a_pod(resizePolicy=[{"resourceName": "cpu"}]), ["spec"]),
        (a_pod(name="z"), ["spec.containers"]),
    ],
)
def test_resize(new: dict[str, Any], wanted: list[str]) -> None:
    old = a_pod()
    errors = validate_resize(resized(new, old), old)
    assert [e.path for e in errors] == wanted


def test_only_resources_are_read() -> None:
    new = resized(a_pod({"limits": {"cpu": "1"}}, image="other"), a_pod())
    assert new["spec"]["containers"] == [
        {"name": "c", "image": "i", "resources": {"limits": {"cpu": "1"}}}
    ]
