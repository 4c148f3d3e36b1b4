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
        (a_pod(RESOURCES | {"claims": [{"name": "x"}]}), []),  # The rules of pods refuse that.
        (a_pod(resizePolicy=[{"resourceName": "cpu"}]), ["spec"]),
        (a_pod(name="z"), ["spec.containers[0].name"]),
        (a_pod() | {"spec": {"containers": []}}, ["spec", "spec.containers"]),
        (a_pod(RESOURCES | {"requests": {"memory": "64Mi", "x.io/y": "1"}}),
         ["spec.containers[0].resources.requests", "spec"]),
    ],
)  # fmt: skip
def test_resize(new: dict[str, Any], wanted: list[str]) -> None:
    old = a_pod()
    errors = validate_resize(resized(new, old), old)
    assert [e.path for e in errors] == wanted


def test_only_resources_are_read() -> None:
    new = resized(a_pod({"limits": {"cpu": "1"}}, image="other"), a_pod())
    assert new["spec"]["containers"] == [
        {"name": "c", "image": "i", "resources": {"limits": {"cpu": "1"}}}
    ]


OF_POD = {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}


def with_init(resources: Any = RESOURCES, **more: Any) -> dict[str, Any]:
    pod = a_pod()
    first = {"name": "i", "image": "i", "resources": resources} | more
    return pod | {"spec": pod["spec"] | {"initContainers": [first]}}


def pod_level(resources: Any) -> dict[str, Any]:
    pod = a_pod()
    return pod | {"spec": pod["spec"] | {"resources": resources}}


def running(**status: Any) -> dict[str, Any]:
    found = [{"state": {"running": {}}} | status]
    return a_pod() | {"status": {"qosClass": "Burstable", "containerStatuses": found}}


def special(**metadata: Any) -> dict[str, Any]:
    return a_pod() | {"metadata": metadata}


LESS = RESOURCES | {"requests": {"cpu": "50m", "memory": "64Mi"}}
RESTART = [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        (with_init(), with_init(LESS), []),
        (with_init(), with_init({"limits": RESOURCES["limits"]}),
         ["spec.initContainers[0].resources.requests"]),
        (with_init(), a_pod(), ["spec.initContainers"]),
        (with_init(resizePolicy=RESTART), with_init(LESS, resizePolicy=RESTART),
         ["spec.initContainers[0]"]),
        (with_init(restartPolicy="Always", resizePolicy=RESTART),
         with_init(LESS, restartPolicy="Always", resizePolicy=RESTART), []),
        (pod_level(OF_POD), pod_level(OF_POD | {"requests": {"cpu": "2"}}), []),
        (pod_level(OF_POD), a_pod(), ["spec.resources"]),
        (pod_level(OF_POD), pod_level({"requests": {"cpu": "1"}}), ["spec.resources.limits"]),
        (pod_level(OF_POD), pod_level(OF_POD | {"limits": {"cpu": "2", "x": "1"}}), ["spec"]),
        (running(), a_pod(), ["spec"]),
        (running(resources={}), a_pod(), []),
        (special(annotations={"kubernetes.io/config.mirror": "x"}), a_pod(), ["[]"]),
        (a_pod() | {"spec": {"os": {"name": "windows"}, "containers": []}}, a_pod(), ["[]"]),
    ],
)  # fmt: skip
def test_resize_of(old: dict[str, Any], new: dict[str, Any], wanted: list[str]) -> None:
    changed = resized(new, old)
    found = [e.path for e in validate_resize(changed, old)]
    if "resources" in old["spec"] or "resources" in new["spec"]:
        found = [path for path in found if path != "spec" or wanted == ["spec"]]
    assert found == wanted


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (running(), a_pod(LESS), "Pod running on node without support for resize"),
        (with_init(resizePolicy=RESTART), with_init(LESS, resizePolicy=RESTART),
         "non-sidecar init containers with a resize policy of RestartContainer cannot be resized"),
        (with_init(resizePolicy=RESTART), with_init(),
         "only cpu and memory resources for init or sidecar containers are mutable"),
        (with_init(), a_pod(), "initContainers may not be added or removed on resize"),
        (pod_level(OF_POD), a_pod(), "pod-level resources cannot be removed"),
        (a_pod() | {"spec": {"os": {"name": "windows"}, "containers": []}}, a_pod(),
         "windows pods cannot be resized"),
    ],
)  # fmt: skip
def test_words_of_refused_resizes(old: dict[str, Any], new: dict[str, Any], text: str) -> None:
    errors = [str(error) for error in validate_resize(resized(new, old), old)]
    assert any(error.endswith(text) for error in errors), errors
