"""What writers are told of though it is accepted."""

from typing import Any

import pytest

from tiphys.apiserver.resources.rules import warnings

NULL = "spec.template.spec.topologySpreadConstraints[0].labelSelector: a null labelSelector"
IN_NAMES = "metadata.name: this is used in Pod names and hostnames"


def a_workload(name: str = "a", generation: int = 1) -> dict[str, Any]:
    template: dict[str, Any] = {"spec": {"topologySpreadConstraints": [{}]}}
    metadata = {"name": name, "generation": generation}
    return {"metadata": metadata, "spec": {"template": template}}


@pytest.mark.parametrize(
    ("new", "old", "wanted"),
    [
        (a_workload(), None, [NULL]),
        (a_workload("a.b"), None, [IN_NAMES, NULL]),
        (a_workload("a.b"), a_workload("a.b"), []),
        (a_workload("a.b", 2), a_workload("a.b"), [NULL]),
    ],
)
def test_a_template_is_told_of_when_it_is_new(
    new: dict[str, Any], old: dict[str, Any] | None, wanted: list[str]
) -> None:
    found = warnings.of_template("spec", "template", is_named_alike=True)(new, old)
    assert [text.startswith(start) for text, start in zip(found, wanted, strict=True)] == [
        True for _ in wanted
    ]


def test_a_repeated_host_alias() -> None:
    spec = {"hostAliases": [{"ip": "1.1.1.1"}, {"ip": "1.1.1.1"}]}
    assert warnings.pod_template(spec, "spec") == ['spec.hostAliases[1].ip: duplicate ip "1.1.1.1"']


def test_a_repeated_port_and_variable() -> None:
    ports = [{"containerPort": 80}, {"containerPort": 81}, {"containerPort": 80}]
    container = {"ports": ports, "env": [{"name": "A"}, {"name": "A"}]}
    assert warnings.pod_template({"containers": [container]}, "spec") == [
        'spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when'
        " using apply",
        "spec.containers[0].ports[2]: duplicate port definition with spec.containers[0].ports[0]",
    ]


def test_volumes_and_classes() -> None:
    volume = {"metadata": {}, "spec": {"persistentVolumeReclaimPolicy": "Recycle", "rbd": {}}}
    assert [w.split(":")[0] for w in warnings.persistent_volume(volume, None)] == [
        "spec.persistentVolumeReclaimPolicy",
        "spec.rbd",
    ]
    claim = {"metadata": {}, "spec": {"resources": {"limits": {"storage": "500m"}}}}
    assert [w.split(":")[0] for w in warnings.claim(claim, None)] == [
        "spec.resources.limits[storage]"
    ]
    terms = [{"matchLabelExpressions": [{"key": "beta.kubernetes.io/os"}, {"key": "x"}]}]
    assert [
        w.split(":")[0] for w in warnings.storage_class({"allowedTopologies": terms}, None)
    ] == ["allowedTopologies[0].matchLabelExpressions[0].key"]
    old_class = {"metadata": {"annotations": {"kubernetes.io/ingress.class": "x"}}}
    assert len(warnings.ingress(old_class, None)) == 1
