"""What a job may say and change beyond the rules of all workloads."""

import re
from typing import Any

import pytest

from tiphys.api.meta import Obj
from tiphys.apiserver.resources.batch.job_rules import index_count, validate, validate_update


@pytest.mark.parametrize(
    ("text", "count"), [("", 0), ("0", 1), ("0-2", 3), ("0,2-4", 4), ("1,3", 2)]
)
def test_indexes_are_counted(text: str, count: int) -> None:
    assert index_count(text, 5) == count


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0-9", 'too large index: "9"'),
        ("3,1", "non-increasing order, previous: 3, current: 1"),
        ("3,1-9", 'too large index: "9"'),
        ("2-2", "non-increasing order, previous: 2, current: 2"),
        ("a", 'cannot convert string to integer for index: "a"'),
        ("0-1-2", "can have at most two parts separated by '-'"),
    ],
)
def test_indexes_that_are_none(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"{re.escape(why)}$"):
        index_count(text, 5)


def a_job(name: str = "a", **spec: Any) -> Obj:
    labels = {
        "controller-uid": "u",
        "job-name": name,
        "batch.kubernetes.io/controller-uid": "u",
        "batch.kubernetes.io/job-name": name,
    }
    container = {
        "name": "c",
        "image": "b",
        "imagePullPolicy": "Always",
        "terminationMessagePolicy": "File",
    }
    pod = {
        "containers": [container],
        "restartPolicy": "Never",
        "dnsPolicy": "ClusterFirst",
        "terminationGracePeriodSeconds": 30,
    }
    whole = {
        "completions": 3,
        "completionMode": "Indexed",
        "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    return {"metadata": {"name": name, "uid": "u"}, "spec": whole | spec}


@pytest.mark.parametrize(
    ("rule", "paths"),
    [
        ({"succeededCount": 3}, []),
        ({"succeededIndexes": "0-1", "succeededCount": 2}, []),
        ({}, [""]),
        ({"succeededCount": 4}, [".succeededCount"]),
        ({"succeededIndexes": "0", "succeededCount": 2}, [".succeededCount"]),
        ({"succeededIndexes": "0-7"}, [".succeededIndexes"]),
    ],
)
def test_when_a_job_has_succeeded(rule: Obj, paths: list[str]) -> None:
    found = validate(a_job(successPolicy={"rules": [rule]}))
    assert [e.path for e in found] == [f"spec.successPolicy.rules[0]{p}" for p in paths]


def test_pods_of_an_indexed_job_are_named_after_it() -> None:
    [found] = validate(a_job("a.b"))
    assert str(found) == (
        'metadata.name: Invalid value: "a.b": will not able to create pod with invalid DNS label:'
        " a.b-2"
    )


def test_a_generated_selector_stays_that_of_the_job() -> None:
    job = a_job() | {"metadata": {"name": "a", "uid": "v"}}
    assert [e.path for e in validate(job)] == [
        "spec.template.metadata.labels[controller-uid]",
        "spec.template.metadata.labels[batch.kubernetes.io/controller-uid]",
        "spec.selector",
    ]


MANY = {"completions": 100_001, "backoffLimitPerIndex": 1}


@pytest.mark.parametrize(
    ("spec", "paths"),
    [
        (MANY, ["maxFailedIndexes"]),
        (MANY | {"maxFailedIndexes": 10_000, "parallelism": 10_000}, []),
        (MANY | {"maxFailedIndexes": 10_001, "parallelism": 10_001}, [
            "parallelism", "maxFailedIndexes",
        ]),
        ({"maxFailedIndexes": 100_001, "backoffLimitPerIndex": 1}, ["maxFailedIndexes"] * 2),
    ],
)  # fmt: skip
def test_jobs_of_many_indexes(spec: Obj, paths: list[str]) -> None:
    assert [e.path.removeprefix("spec.") for e in validate(a_job(**spec))] == paths


@pytest.mark.parametrize(
    ("change", "texts"),
    [
        ({"completions": 4, "parallelism": 4}, []),
        ({"completions": 4, "parallelism": 3}, ["in tandem with spec.parallelism"]),
        ({"completions": 4, "completionMode": "NonIndexed"}, ["field is immutable"] * 2),
    ],
)
def test_completions_change_with_the_parallelism(change: Obj, texts: list[str]) -> None:
    old = a_job(parallelism=3)
    spec: Obj = {"parallelism": 3} | change
    found = validate_update(a_job(**spec), old)
    assert len(found) == len(texts)
    assert all(text in e.detail for text, e in zip(texts, found, strict=True))


def with_pod(job: Obj, **pod: Any) -> Obj:
    template = job["spec"]["template"]
    changed = template | {"spec": template["spec"] | pod}
    return job | {"spec": job["spec"] | {"template": changed}}


@pytest.mark.parametrize(
    ("suspended", "started", "change", "path"),
    [
        pytest.param(True, False, {"nodeSelector": {"a": "b"}}, "", id="where-it-runs"),
        pytest.param(True, False, {"tolerations": [{"operator": "Exists"}]}, "", id="taints"),
        pytest.param(True, False, {"hostPID": True}, "spec.template.spec", id="something-else"),
        pytest.param(True, True, {"nodeSelector": {"a": "b"}}, "spec.template", id="started"),
        pytest.param(True, None, {"nodeSelector": {"a": "b"}}, "", id="stopped-again"),
        pytest.param(False, False, {"nodeSelector": {"a": "b"}}, "spec.template", id="not-held"),
    ],
)
def test_a_suspended_job_can_be_sent_elsewhere(
    *, suspended: bool, started: bool | None, change: Obj, path: str
) -> None:
    """Whether it was started; None: and has stopped."""
    stopped = [{"type": "Suspended", "status": "True"}] if started is None else []
    status = {} if started is False else {"startTime": "t", "conditions": stopped}
    old = a_job(suspend=suspended) | {"status": status}
    found = validate_update(with_pod(old, **change), old)
    assert [e.path for e in found] == ([path] if path else [])
