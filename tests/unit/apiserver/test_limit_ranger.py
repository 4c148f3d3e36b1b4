"""LimitRanger: defaults and bounds, in the words of the real server."""

from typing import Any

import pytest

from tiphys.apiserver.admission.limit_ranger import ANNOTATION, LimitRanger
from unit.apiserver.admission_cases import a_cache, a_pod, a_write, refusal

Obj = dict[str, Any]


def plugin(*limits: Obj) -> LimitRanger:
    found = {"metadata": {"name": "l", "namespace": "ns"}, "spec": {"limits": list(limits)}}
    elsewhere = {
        "metadata": {"name": "l", "namespace": "other"},
        "spec": {"limits": [{"type": "Container", "max": {"cpu": "1m"}}]},
    }
    return LimitRanger(a_cache("/registry/limitranges/", "v1", "LimitRange", [found, elsewhere]))


DEFAULTS = {
    "type": "Container",
    "default": {"cpu": "500m", "memory": "256Mi"},
    "defaultRequest": {"cpu": "100m", "memory": "256Mi"},
}
BOUNDS = {
    "type": "Container",
    "max": {"cpu": "1", "memory": "1Gi"},
    "min": {"cpu": "100m", "memory": "16Mi"},
    "maxLimitRequestRatio": {"cpu": "4"},
}
POD = {"type": "Pod", "min": {"memory": "4Mi"}, "max": {"cpu": "1", "memory": "2Gi"}}


@pytest.mark.parametrize(
    ("given", "wanted", "note"),
    [
        (
            {},
            {
                "requests": {"cpu": "100m", "memory": "256Mi"},
                "limits": {"cpu": "500m", "memory": "256Mi"},
            },
            "cpu, memory request for container c0; cpu, memory limit for container c0",
        ),
        (
            {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}},
            {
                "requests": {"cpu": "1", "memory": "256Mi"},
                "limits": {"cpu": "1", "memory": "256Mi"},
            },
            "memory request for container c0; memory limit for container c0",
        ),
    ],
)
def test_a_container_gets_what_it_leaves_open(given: Obj, wanted: Obj, note: str) -> None:
    pod = a_pod(given)
    plugin(DEFAULTS).mutate(a_write(pod))
    assert pod["spec"]["containers"][0]["resources"] == wanted
    assert pod["metadata"]["annotations"] == {ANNOTATION: f"LimitRanger plugin set: {note}"}


def test_init_containers_get_defaults_too_and_a_full_container_is_left_alone() -> None:
    full = {"requests": DEFAULTS["defaultRequest"], "limits": DEFAULTS["default"]}
    pod = a_pod(full, initContainers=[{"name": "i", "resources": full}])
    plugin(DEFAULTS).mutate(a_write(pod))
    assert "annotations" not in pod["metadata"]
    pod = a_pod(full, initContainers=[{"name": "i"}])
    plugin(DEFAULTS).mutate(a_write(pod))
    assert pod["spec"]["initContainers"][0]["resources"] == full
    assert "for init container i" in pod["metadata"]["annotations"][ANNOTATION]


def full(cpu: str, memory: str, cpu_limit: str = "", memory_limit: str = "") -> Obj:
    limits = {"cpu": cpu_limit or cpu, "memory": memory_limit or memory}
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": limits}


@pytest.mark.parametrize(
    ("limit", "resources", "why"),
    [
        (BOUNDS, full("1", "1Gi"), ""),
        (
            BOUNDS,
            full("50m", "1Gi", "1"),
            "[minimum cpu usage per Container is 100m, but request is 50m, cpu max limit to request"
            " ratio per Container is 4, but provided ratio is 20.000000]",
        ),
        (
            BOUNDS,
            full("1", "1Gi", "2"),
            "maximum cpu usage per Container is 1, but limit is 2",
        ),
        (
            BOUNDS,
            full("500m", "8Mi", "1", "2Gi"),
            "[minimum memory usage per Container is 16Mi, but request is 8Mi,"
            " maximum memory usage per Container is 1Gi, but limit is 2Gi]",
        ),
        (
            POD,
            {},
            "[minimum memory usage per Pod is 4Mi.  No request is specified, maximum cpu usage per"
            " Pod is 1.  No limit is specified, maximum memory usage per Pod is 2Gi.  No limit is"
            " specified]",
        ),
        (
            {"type": "Pod", "maxLimitRequestRatio": {"cpu": "1"}},
            {"requests": {"cpu": "1"}},
            "cpu max limit to request ratio per Pod is 1, but no limit is specified or limit is 0",
        ),
    ],
)
def test_what_is_out_of_bounds_is_refused(limit: Obj, resources: Obj, why: str) -> None:
    assert refusal(plugin(limit), a_write(a_pod(resources))) == why


def test_containers_of_a_pod_count_together() -> None:
    half = full("600m", "1Gi")
    why = "maximum cpu usage per Pod is 1, but limit is 1200m"
    assert refusal(plugin(POD), a_write(a_pod(half, half))) == why


@pytest.mark.parametrize(
    ("size", "why"),
    [
        ("500Mi", "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 500Mi"),
        ("3Gi", "maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi"),
        ("1Gi", ""),
    ],
)
def test_claims_have_bounds(size: str, why: str) -> None:
    limit = {
        "type": "PersistentVolumeClaim",
        "max": {"storage": "2Gi"},
        "min": {"storage": "1Gi"},
    }
    claim = {
        "metadata": {"name": "c"},
        "spec": {"resources": {"requests": {"storage": size}}},
    }
    write = a_write(claim, "persistentvolumeclaims", kind="PersistentVolumeClaim")
    assert refusal(plugin(limit), write) == why


def test_only_resizing_is_looked_at_when_a_pod_changes() -> None:
    pod = a_pod(full("2", "1Gi"))
    old = a_pod(full("1", "1Gi"))
    assert refusal(plugin(BOUNDS), a_write(pod, operation="UPDATE", old=old)) == ""
    resize = a_write(pod, operation="UPDATE", subresource="resize", old=old)
    assert refusal(plugin(BOUNDS), resize)
