"""DefaultIngressClass admission: which class an Ingress without one gets."""

from typing import Any

import pytest

from tiphys.apiserver.admission.default_ingress_class import DefaultIngressClass
from unit.apiserver.admission_cases import a_cache, a_write

Obj = dict[str, Any]
DEFAULT = {"ingressclass.kubernetes.io/is-default-class": "true"}
NOTED = {"metadata": {"annotations": {"kubernetes.io/ingress.class": "x"}}, "spec": {}}


def a_class(name: str, created: str = "2026-01-01T00:00:00Z", **annotations: str) -> Obj:
    return {
        "metadata": {"name": name, "creationTimestamp": created, "annotations": annotations},
        "spec": {"controller": "example.com/c"},
    }


@pytest.mark.parametrize(
    ("classes", "ingress", "expected"),
    [
        pytest.param([], {"spec": {}}, None, id="none is there"),
        pytest.param([a_class("a")], {"spec": {}}, None, id="none is default"),
        pytest.param([a_class("a", **DEFAULT)], {"spec": {}}, "a", id="the default one"),
        pytest.param(
            [a_class("a", **DEFAULT)], {"spec": {"ingressClassName": "b"}}, "b", id="its own"
        ),
        pytest.param(
            [a_class("a", **DEFAULT)], {"spec": {"ingressClassName": ""}}, "", id="its own, empty"
        ),
        pytest.param([a_class("a", **DEFAULT)], NOTED, None, id="by the annotation of before"),
        pytest.param(
            [a_class("a", **DEFAULT), a_class("b", "2026-02-01T00:00:00Z", **DEFAULT)],
            {"spec": {}}, "b", id="the newest of two",
        ),
        pytest.param(
            [a_class("b", **DEFAULT), a_class("a", **DEFAULT)], {"spec": {}}, "a", id="by name"
        ),
    ],
)  # fmt: skip
def test_the_class_of_a_new_ingress(classes: list[Obj], ingress: Obj, expected: str | None) -> None:
    obj: Obj = {"metadata": {"name": "i"}, **ingress, "spec": dict(ingress["spec"])}
    kind = ("networking.k8s.io/v1", "IngressClass")
    plugin = DefaultIngressClass(a_cache("/registry/ingressclasses/", *kind, classes))
    for operation in ("UPDATE", "CREATE"):
        write = a_write(obj, "ingresses", operation=operation, group="networking.k8s.io")
        plugin.mutate(write)
        if operation == "UPDATE":
            assert obj["spec"].get("ingressClassName") == ingress["spec"].get("ingressClassName")
    assert obj["spec"].get("ingressClassName") == expected
