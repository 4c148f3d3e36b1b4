"""RuntimeClass admission: overhead, node selector, tolerations."""

from typing import Any

import pytest

from tiphys.apiserver.admission.runtime_class import RuntimeClass, merged
from unit.apiserver.admission_cases import a_cache, a_pod, a_write, refusal

Obj = dict[str, Any]
ANY = {"operator": "Exists"}
ONE = {"key": "k", "operator": "Equal", "value": "v", "effect": "NoSchedule"}
CLASS = {
    "metadata": {"name": "heavy"},
    "handler": "h",
    "overhead": {"podFixed": {"cpu": "100m"}},
    "scheduling": {"nodeSelector": {"disk": "ssd"}, "tolerations": [ONE]},
}


def plugin() -> RuntimeClass:
    plain = {"metadata": {"name": "plain"}, "handler": "h"}
    kind = ("node.k8s.io/v1", "RuntimeClass")
    return RuntimeClass(a_cache("/registry/node.k8s.io/runtimeclasses/", *kind, [CLASS, plain]))


def test_a_pod_gets_what_its_class_says() -> None:
    pod = a_pod({}, runtimeClassName="heavy", nodeSelector={"zone": "a"})
    assert refusal(plugin(), a_write(pod)) == ""
    spec = pod["spec"]
    assert spec["overhead"] == {"cpu": "100m"}
    assert spec["nodeSelector"] == {"zone": "a", "disk": "ssd"}
    assert spec["tolerations"] == [ONE]


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"runtimeClassName": "no"}, 'pod rejected: RuntimeClass "no" not found'),
        (
            {"runtimeClassName": "heavy", "overhead": {"cpu": "1"}},
            "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
        ),
        ({"runtimeClassName": "heavy", "overhead": {"cpu": "0.1"}}, ""),
        (
            {"overhead": {"cpu": "1"}},
            "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead",
        ),
        ({"runtimeClassName": "plain"}, ""),
        (
            {"runtimeClassName": "heavy", "nodeSelector": {"disk": "hdd"}},
            "conflict: runtimeClass.scheduling.nodeSelector[disk] = ssd;"
            " pod.spec.nodeSelector[disk] = hdd",
        ),
    ],
)
def test_what_contradicts_the_class_is_refused(spec: Obj, why: str) -> None:
    assert refusal(plugin(), a_write(a_pod({}, **spec))) == why


LONG = {"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}
SHORT = {"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ([ONE, ONE], [ONE]),
        ([ONE, ANY], [ANY]),
        ([ANY, ONE], [ANY]),
        ([LONG, SHORT], [LONG]),
        ([SHORT, LONG], [LONG]),
        ([ONE, LONG], [ONE, LONG]),
    ],
)
def test_a_toleration_that_another_covers_is_left_out(given: list[Obj], wanted: list[Obj]) -> None:
    assert merged(given) == wanted
