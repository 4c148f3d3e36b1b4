"""What a status may say: the rules that only controllers meet."""

from typing import Any

import pytest

from tiphys.api.field_errors import FieldError
from tiphys.apiserver.resources.batch.job_status_rules import validate_status_update
from tiphys.apiserver.resources.rules import workload_status

NEGATIVE = "must be greater than or equal to 0"
TRUE = {"status": "True"}
TIME, LATER = "2026-01-02T03:04:05Z", "2026-01-02T03:04:06Z"


def paths(errors: list[FieldError]) -> list[str]:
    return [e.path.removeprefix("status.") for e in errors]


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        ({}, []),
        ({"replicas": 2, "readyReplicas": 2, "availableReplicas": 1}, []),
        ({"replicas": 1, "readyReplicas": 2}, ["readyReplicas"]),
        ({"replicas": 3, "readyReplicas": 1, "availableReplicas": 2}, ["availableReplicas"]),
        (
            {"replicas": -1},
            ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"],
        ),
    ],
)
def test_deployment(status: dict[str, int], wanted: list[str]) -> None:
    assert paths(workload_status.DEPLOYMENT({"status": status}, {})) == wanted


@pytest.mark.parametrize(
    ("kind", "point", "wanted"),
    [
        ("ClusterIP", {"ip": "1.2.3.4"}, ["loadBalancer.ingress"]),
        ("LoadBalancer", {"ip": "1.2.3.4", "ipMode": "VIP"}, []),
        ("LoadBalancer", {"ip": "x"}, ["loadBalancer.ingress[0].ip"]),
        (
            "LoadBalancer",
            {"hostname": "a.test", "ipMode": "VIP"},
            ["loadBalancer.ingress[0].ipMode"],
        ),
        ("LoadBalancer", {"hostname": "1.2.3.4"}, ["loadBalancer.ingress[0].hostname"]),
    ],
)
def test_service(kind: str, point: dict[str, str], wanted: list[str]) -> None:
    status = {"loadBalancer": {"ingress": [point]}}
    service = {"spec": {"type": kind}, "status": status}
    assert paths(workload_status.service(service, {})) == wanted
    if kind == "LoadBalancer" and "ipMode" not in point:
        assert paths(workload_status.ingress({"status": status}, {})) == wanted


def a_job(*conditions: str, **status: Any) -> dict[str, Any]:
    found = [{"type": kind} | TRUE for kind in conditions]
    return {"spec": {}, "status": {"conditions": found} | status}


@pytest.mark.parametrize(
    ("new", "old", "wanted"),
    [
        (a_job(succeeded=1), a_job(), []),
        (a_job(succeeded=-1), a_job(), ["succeeded", "succeeded"]),
        (a_job(succeeded=1), a_job(succeeded=2), ["succeeded"]),
        (a_job(ready=2, active=1), a_job(), ["ready"]),
        (a_job(ready=2, active=1), a_job(ready=2, active=1), []),
        (a_job(startTime=LATER), a_job(startTime=TIME), ["startTime"]),
        (
            a_job("Complete", "SuccessCriteriaMet", completionTime=TIME, startTime=LATER),
            a_job(),
            ["completionTime"],
        ),
        (
            a_job("SuccessCriteriaMet", "Failed", "FailureTarget", startTime=TIME),
            a_job(),
            [
                "conditions",
                "conditions",
            ],
        ),
        (a_job(completedIndexes="1"), a_job(), ["completedIndexes"]),
        (a_job(failedIndexes="1"), a_job(), ["failedIndexes"]),
        (
            a_job(uncountedTerminatedPods={"succeeded": ["a", ""], "failed": ["a"]}),
            a_job(),
            ["uncountedTerminatedPods.succeeded[1]", "uncountedTerminatedPods.failed[0]"],
        ),
        (a_job("Complete"), a_job(), ["completionTime", "conditions", "startTime"]),
        (a_job(), a_job("Failed"), ["conditions"]),
        (a_job("Failed", "FailureTarget", startTime=TIME), a_job("FailureTarget"), []),
        (
            a_job("Complete", "SuccessCriteriaMet", completionTime=TIME, startTime=TIME, active=1),
            a_job(),
            ["active"],
        ),
    ],
)
def test_job(new: dict[str, Any], old: dict[str, Any], wanted: list[str]) -> None:
    assert paths(validate_status_update(new, old)) == wanted


def test_indexes_that_overlap() -> None:
    new = a_job(completedIndexes="0-2,5", failedIndexes="4-5")
    new["spec"] = {"completionMode": "Indexed", "completions": 9, "backoffLimitPerIndex": 1}
    [found] = validate_status_update(new, a_job())
    assert found.detail == "failedIndexes and completedIndexes overlap at index: 5"


def test_an_indexed_job_may_be_scaled_down() -> None:
    new, old = a_job(succeeded=1), a_job(succeeded=2)
    new["spec"] = {"completionMode": "Indexed", "completions": 1, "parallelism": 1}
    assert validate_status_update(new, old) == []


def test_budget() -> None:
    errors = workload_status.disruption_budget({"status": {"disruptionsAllowed": -1}}, {})
    assert [(e.path, e.detail) for e in errors] == [("status.disruptionsAllowed", NEGATIVE)]
