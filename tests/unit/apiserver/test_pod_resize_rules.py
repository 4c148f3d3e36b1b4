"""What a resize may change of a pod, and what it reads of the given one."""

from typing import Any

import pytest

from tiphys.apiserver.resources.core.ephemeral_container_rules import ephemeral_errors
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
        (a_pod(RESOURCES | {"claims": [{"name": "x"}]}), []),  # The whole pod is refused for it.
        (a_pod(resizePolicy=[{"resourceName": "cpu"}]), ["spec"]),
        (a_pod(name="z"), ["spec.containers[0].name"]),
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


INIT = {"name": "i", "resources": RESOURCES}
PAGES = {"hugepages-2Mi": "2Mi"}
LESS = {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": RESOURCES["limits"]}
RESTARTS = {"resizePolicy": [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]}


def with_init(**changes: Any) -> dict[str, Any]:
    pod = a_pod()
    pod["spec"]["initContainers"] = [INIT | changes]
    return pod


def with_spec(**spec: Any) -> dict[str, Any]:
    pod = a_pod()
    pod["spec"] |= spec
    return pod


def with_status(**status: Any) -> dict[str, Any]:
    pod = a_pod()
    pod["status"] |= {"containerStatuses": [{"state": {"running": {}}} | status]}
    return pod


@pytest.mark.parametrize(
    ("new", "old", "texts"),
    [
        (a_pod(LESS), with_status(resources={}), []),
        (a_pod(LESS), with_status(), ["Pod running on node without support for resize"]),
        (with_init(resources=LESS), with_init(), []),
        (
            with_init(resources=LESS, **RESTARTS),
            with_init(**RESTARTS),
            ["non-sidecar init containers with a resize policy of RestartContainer cannot be"],
        ),
        (
            with_init(resizePolicy=[]),
            with_init(**RESTARTS),
            ["only cpu and memory resources for init or sidecar containers are mutable"],
        ),
        (
            a_pod(),
            with_init(),
            ["initContainers may not be added or removed on resize"],
        ),
        (
            with_spec(resources={"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}),
            with_spec(resources={"limits": {"cpu": "2"} | PAGES, "requests": {"cpu": "1"}}),
            ["pod-level resource limits cannot be removed", "are mutable at pod-level"],
        ),
        (
            a_pod(),
            with_spec(resources={"limits": {"cpu": "2"}}),
            ["pod-level resources cannot be removed"],
        ),
        (a_pod(LESS), with_spec(os={"name": "windows"}), ["windows pods cannot be resized"]),
    ],
)
def test_words_of_refused_resizes(
    new: dict[str, Any], old: dict[str, Any], texts: list[str]
) -> None:
    errors = [str(e) for e in validate_resize(resized(new, old), old) if "QOS" not in str(e)]
    assert len(errors) == len(texts)
    assert all(text in error for text, error in zip(texts, errors, strict=True))


def test_words_about_ephemeral_containers() -> None:
    old = with_spec(ephemeralContainers=[{"name": "a", "image": "1"}, {"name": "b"}])
    new = with_spec(ephemeralContainers=[{"name": "a", "image": "2"}])
    changed, removed = (str(error) for error in ephemeral_errors(new, old))
    assert 'existing ephemeral containers "a" may not be changed\n' in changed
    assert '+ "Image": "2"' in changed
    assert 'existing ephemeral containers "b" may not be removed\n' in removed
