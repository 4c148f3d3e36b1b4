"""Resources as cgroup settings."""

from typing import Any

import pytest

from tiphys.kubelet.cgroups import container_resources, cpu_shares, pod_cgroup, pod_resources
from tiphys.kubelet.pod_cgroup import v1_files, v2_files
from tiphys.kubelet.pod_spec import qos_class
from unit.kubelet.builders import a_container, a_pod

GIB = 1 << 30


def resources(requests: dict[str, str] | None = None, limits: dict[str, str] | None = None) -> Any:
    return a_container(
        resources=({"requests": requests} if requests else {})
        | ({"limits": limits} if limits else {})
    )


@pytest.mark.parametrize(
    ("container", "wanted"),
    [
        (resources(), {"cpu_shares": 2, "oom_score_adj": 1000}),
        (
            resources({"cpu": "500m", "memory": "1Gi"}),
            {"cpu_shares": 512, "oom_score_adj": 750},
        ),
        (
            resources({"cpu": "50m", "memory": "16Mi"}, {"cpu": "50m", "memory": "16Mi"}),
            {
                "cpu_period": 100_000,
                "cpu_quota": 5_000,
                "cpu_shares": 51,
                "memory_limit_in_bytes": 16 << 20,
                "oom_score_adj": -997,
            },
        ),
        (resources({"cpu": "1m"}), {"cpu_shares": 2, "oom_score_adj": 999}),
    ],
    ids=["best effort", "burstable", "guaranteed", "burstable without memory"],
)
def test_container_resources(container: Any, wanted: dict[str, int]) -> None:
    assert container_resources(a_pod(container), container, 4 * GIB) == wanted


def test_shares_have_bounds() -> None:
    assert [cpu_shares(m) for m in (0, 1000, 10**9)] == [2, 1024, 262_144]


def test_a_pod_is_bounded_when_all_its_containers_are() -> None:
    bounded = resources({"cpu": "100m"}, {"cpu": "200m", "memory": "8Mi"})
    assert pod_resources(a_pod(bounded, bounded)) == {
        "cpu_shares": 204,
        "cpu_period": 100_000,
        "cpu_quota": 40_000,
        "memory_limit_in_bytes": 16 << 20,
    }
    assert pod_resources(a_pod(bounded, resources())) == {"cpu_shares": 102}


@pytest.mark.parametrize(
    ("container", "path"),
    [
        (resources(), "/r/kubepods/besteffort/podu1"),
        (resources({"cpu": "1"}), "/r/kubepods/burstable/podu1"),
        (resources(None, {"cpu": "1", "memory": "1"}), "/r/kubepods/burstable/podu1"),
        (
            resources({"cpu": "1", "memory": "1"}, {"cpu": "1", "memory": "1"}),
            "/r/kubepods/podu1",
        ),
    ],
)
def test_pod_cgroups_are_laid_out_as_upstreams(container: Any, path: str) -> None:
    assert pod_cgroup("/r", a_pod(container)) == path


def test_pod_level_resources_decide_the_class() -> None:
    same = {"cpu": "1", "memory": "1Gi"}
    assert qos_class(a_pod(resources={"requests": same, "limits": same})) == "Guaranteed"


def test_cgroup_files() -> None:
    bounds = {"cpu_shares": 1024, "cpu_quota": 5, "cpu_period": 100, "memory_limit_in_bytes": 7}
    assert v2_files(bounds) == {"cpu.weight": "39", "cpu.max": "5 100", "memory.max": "7"}
    assert v1_files(bounds)["cpu"] == {
        "cpu.shares": "1024",
        "cpu.cfs_period_us": "100",
        "cpu.cfs_quota_us": "5",
    }
