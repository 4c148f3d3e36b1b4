"""What objects count against quotas."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tiphys.api import quota_usage as usage
from tiphys.api.meta import Obj
from tiphys.controllers.resource_quota import used

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def a_pod(resources: Obj | None = None, *, phase: str = "Running", **spec: Any) -> Obj:
    container = {"name": "c", "resources": resources or {}}
    return {
        "metadata": {"name": "p"},
        "spec": {"containers": [container]} | spec,
        "status": {"phase": phase},
    }


def shown(found: usage.Usage) -> dict[str, str]:
    return {name: str(value) for name, value in found.items()}


def test_a_pod_counts_itself_and_what_it_may_use() -> None:
    pod = a_pod({"requests": {"cpu": "250m", "memory": "1Gi"}, "limits": {"cpu": "1"}})
    assert shown(usage.object_usage(pod, "", "pods", NOW)) == {
        "count/pods": "1",
        "pods": "1",
        "cpu": "250m",
        "requests.cpu": "250m",
        "memory": "1Gi",
        "requests.memory": "1Gi",
        "limits.cpu": "1",
    }


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_finished_pod_is_still_an_object(phase: str) -> None:
    assert shown(usage.object_usage(a_pod(phase=phase), "", "pods", NOW)) == {"count/pods": "1"}


def test_a_pod_that_should_be_gone_uses_nothing() -> None:
    pod = a_pod()
    pod["metadata"] |= {
        "deletionTimestamp": "2026-01-01T00:00:00Z",
        "deletionGracePeriodSeconds": 30,
    }
    assert "pods" not in usage.object_usage(pod, "", "pods", NOW)


def test_init_containers_count_where_they_need_more_and_sidecars_beside() -> None:
    def needs(cpu: str, **more: Any) -> Obj:
        return {"name": cpu, "resources": {"requests": {"cpu": cpu}}} | more

    pod = a_pod(
        {"requests": {"cpu": "1"}},
        initContainers=[needs("500m", restartPolicy="Always"), needs("2")],
        overhead={"cpu": "100m"},
    )
    assert shown(usage.pod_resources(pod, "requests")) == {"cpu": "2600m"}


@pytest.mark.parametrize(
    ("spec", "node_ports", "balancers"),
    [
        pytest.param({"type": "ClusterIP", "ports": [{}]}, "0", "0", id="cluster-ip"),
        pytest.param({"type": "NodePort", "ports": [{}, {}]}, "2", "0", id="node-port"),
        pytest.param({"type": "LoadBalancer", "ports": [{}]}, "1", "1", id="load-balancer"),
        pytest.param(
            {"type": "LoadBalancer", "ports": [{}], "allocateLoadBalancerNodePorts": False},
            "0",
            "1",
            id="without-node-ports",
        ),
    ],
)
def test_a_service_counts_its_ports(spec: Obj, node_ports: str, balancers: str) -> None:
    found = shown(usage.object_usage({"metadata": {}, "spec": spec}, "", "services", NOW))
    assert (found["services.nodeports"], found["services.loadbalancers"]) == (node_ports, balancers)
    assert found["services"] == found["count/services"] == "1"


def test_a_claim_counts_for_its_class() -> None:
    requests = {"requests": {"storage": "2Gi"}}
    claim = {"metadata": {}, "spec": {"storageClassName": "fast", "resources": requests}}
    found = shown(usage.object_usage(claim, "", "persistentvolumeclaims", NOW))
    assert found["requests.storage"] == "2Gi"
    assert found["fast.storageclass.storage.k8s.io/requests.storage"] == "2Gi"
    assert found["fast.storageclass.storage.k8s.io/persistentvolumeclaims"] == "1"


@pytest.mark.parametrize(
    ("name", "resource"),
    [
        pytest.param("pods", ("", "pods"), id="pods"),
        pytest.param("limits.memory", ("", "pods"), id="resources-are-of-pods"),
        pytest.param("secrets", ("", "secrets"), id="secrets"),
        pytest.param("services.nodeports", ("", "services"), id="services"),
        pytest.param("requests.storage", ("", "persistentvolumeclaims"), id="storage"),
        pytest.param("count/jobs.batch", ("batch", "jobs"), id="any-object"),
        pytest.param("count/pods", ("", "pods"), id="count-pods"),
    ],
)
def test_what_a_name_is_about(name: str, resource: tuple[str, str]) -> None:
    assert usage.resource_of(name) == resource


def scope(name: str, operator: str = "Exists", *values: str) -> Obj:
    term: Obj = {"scopeName": name, "operator": operator}
    if values:
        term["values"] = list(values)
    return {"spec": {"scopeSelector": {"matchExpressions": [term]}}}


CROSSING: Obj = {
    "podAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [{"namespaceSelector": {}}],
    }
}


@pytest.mark.parametrize(
    ("quota", "pod", "wanted"),
    [
        pytest.param({"spec": {}}, a_pod(), True, id="no-scopes"),
        pytest.param({"spec": {"scopes": ["BestEffort"]}}, a_pod(), True, id="best-effort"),
        pytest.param(
            {"spec": {"scopes": ["BestEffort"]}},
            a_pod({"limits": {"cpu": "1"}}),
            False,
            id="not-best-effort",
        ),
        pytest.param(scope("Terminating"), a_pod(activeDeadlineSeconds=5), True, id="ends"),
        pytest.param(scope("NotTerminating"), a_pod(), True, id="does-not-end"),
        pytest.param(
            scope("PriorityClass", "In", "a"), a_pod(priorityClassName="a"), True, id="class"
        ),
        pytest.param(scope("PriorityClass", "NotIn", "a"), a_pod(), True, id="not-that-class"),
        pytest.param(scope("PriorityClass", "DoesNotExist"), a_pod(), True, id="no-class"),
        pytest.param(
            scope("CrossNamespacePodAffinity"), a_pod(affinity=CROSSING), True, id="crosses"
        ),
        pytest.param(scope("CrossNamespacePodAffinity"), a_pod(), False, id="does-not-cross"),
    ],
)
def test_scopes(quota: Obj, pod: Obj, wanted: bool) -> None:
    assert usage.is_in_scopes(quota, pod, "pods") == wanted


def test_only_limited_names_are_told_and_absent_ones_are_zero() -> None:
    totals: usage.Usage = {}
    usage.add(totals, usage.object_usage(a_pod(), "", "pods", NOW))
    usage.add(totals, usage.object_usage(a_pod(), "", "pods", NOW))
    quota = {"spec": {"hard": {"pods": "5", "secrets": "1"}}}
    assert used(quota, totals) == {"pods": "2", "secrets": "0"}
