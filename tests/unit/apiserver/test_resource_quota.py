"""ResourceQuota admission: what is refused, in the words of the real server."""

from typing import Any

import pytest

from tiphys.apiserver.admission.resource_quota import ResourceQuota
from tiphys.lib.clock import SystemClock
from tiphys.storage.memory import MemoryBackend
from tiphys.storage.store import Store
from unit.apiserver.admission_cases import a_cache, a_pod, a_write, refusal

Obj = dict[str, Any]


def plugin(hard: Obj, used: Obj | None = None, **spec: Any) -> ResourceQuota:
    quota = {
        "metadata": {"name": "q", "namespace": "ns"},
        "spec": {"hard": hard, **spec},
        "status": {"hard": hard, "used": used if used is not None else dict.fromkeys(hard, "0")},
    }
    cache = a_cache("/registry/resourcequotas/", "v1", "ResourceQuota", [quota])
    clock = SystemClock()
    return ResourceQuota(cache, Store(MemoryBackend(clock)), clock)


def a_service(kind: str) -> Obj:
    return {"metadata": {"name": "s"}, "spec": {"type": kind, "ports": [{"port": 80}]}}


CPU = {"requests": {"cpu": "500m"}}


@pytest.mark.parametrize(
    ("hard", "used", "resources", "why"),
    [
        ({"pods": "1"}, {"pods": "0"}, {}, ""),
        (
            {"pods": "1"},
            {"pods": "1"},
            {},
            "exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1",
        ),
        (
            {"pods": "1", "requests.cpu": "1", "limits.memory": "1Gi"},
            None,
            {},
            "failed quota: q: must specify limits.memory for: c0; requests.cpu for: c0",
        ),
        (
            {"requests.cpu": "1"},
            {"requests.cpu": "600m"},
            CPU,
            "exceeded quota: q, requested: requests.cpu=500m, used: requests.cpu=600m,"
            " limited: requests.cpu=1",
        ),
        ({"pods": "5"}, {}, {}, "status unknown for quota: q, resources: pods"),
        ({"count/pods": "0"}, None, {}, "exceeded quota: q, requested: count/pods=1, "
         "used: count/pods=0, limited: count/pods=0"),
        ({"secrets": "0"}, None, {}, ""),
    ],
)  # fmt: skip
def test_a_pod_must_fit(hard: Obj, used: Obj | None, resources: Obj, why: str) -> None:
    assert refusal(plugin(hard, used), a_write(a_pod(resources))) == why


def test_scopes_say_whom_a_quota_is_about() -> None:
    best_effort = plugin({"pods": "0"}, scopes=["BestEffort"])
    assert refusal(best_effort, a_write(a_pod({})))
    assert refusal(best_effort, a_write(a_pod(CPU))) == ""


def test_only_what_grows_is_asked_for_when_a_service_changes() -> None:
    quota = plugin({"services.loadbalancers": "0", "services.nodeports": "1", "services": "0"})
    old = a_service("NodePort")
    changed = a_write(a_service("LoadBalancer"), "services", operation="UPDATE", old=old)
    assert refusal(quota, changed) == (
        "exceeded quota: q, requested: services.loadbalancers=1,"
        " used: services.loadbalancers=0, limited: services.loadbalancers=0"
    )
    same = a_write(old, "services", operation="UPDATE", old=a_service("LoadBalancer"))
    assert refusal(quota, same) == ""


def test_any_object_may_be_counted() -> None:
    quota = plugin({"count/deployments.apps": "0"})
    deployment = {"metadata": {"name": "d"}}
    assert refusal(quota, a_write(deployment, "deployments", group="apps"))
    assert (
        refusal(quota, a_write(deployment, "deployments", group="apps", operation="UPDATE")) == ""
    )
    assert refusal(quota, a_write(deployment, "deployments", group="other")) == ""
    event = {"metadata": {"name": "e"}}
    assert refusal(plugin({"count/events": "0"}), a_write(event, "events")) == ""
