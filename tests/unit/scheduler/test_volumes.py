"""A pod goes where its volumes are."""

import random
from typing import Any

import pytest

from tiphys.api.meta import Obj
from tiphys.scheduler import cycle
from tiphys.scheduler.framework import ClaimFacts, NodeInfo, PodInfo, Snapshot
from tiphys.scheduler.plugins.default_preemption import preempt
from tiphys.scheduler.plugins.default_profile import DEFAULT
from tiphys.scheduler.volumes import claim_names
from unit.controllers.builders import a_node, a_pod

ZONE = "topology.kubernetes.io/zone"
BOUND = {"pv.kubernetes.io/bind-completed": "yes"}
LOCAL: Obj = {
    "provisioner": "kubernetes.io/no-provisioner",
    "volumeBindingMode": "WaitForFirstConsumer",
}


def a_claim(*, volume: str = "", phase: str = "Pending", deleting: bool = False) -> Obj:
    metadata: Obj = {"name": "c", "namespace": "default", "annotations": BOUND if volume else {}}
    if deleting:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    spec: Obj = {"resources": {"requests": {"storage": "1Gi"}}}
    if volume:
        spec["volumeName"] = volume
    return {"metadata": metadata, "spec": spec, "status": {"phase": phase}}


def a_volume(node: str = "", zone: str = "") -> Obj:
    spec: Obj = {"capacity": {"storage": "1Gi"}}
    if node:
        term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
        spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": [term]}}
    return {
        "metadata": {"name": "v", "labels": {ZONE: zone} if zone else {}},
        "spec": spec,
        "status": {"phase": "Available"},
    }


def decided(facts: ClaimFacts, *, zones: tuple[str, str] = ("", "")) -> str:
    """The node, or the text of the event."""
    nodes = []
    for name, zone in zip(("n1", "n2"), zones, strict=True):
        info = NodeInfo({})
        info.set_node(a_node(name, labels={ZONE: zone} if zone else {}))
        nodes.append(info)
    pod = PodInfo(a_pod(), [facts])
    snapshot = Snapshot(nodes)
    decision = cycle.decide(pod, snapshot, DEFAULT, random.Random(1))
    if decision.diagnosis is None:
        return decision.node
    found = preempt(pod, snapshot, DEFAULT, decision.diagnosis, [])
    return cycle.message(decision.diagnosis, found.text)


HELPLESS = (
    "no new claims to deallocate, preemption: 0/2 nodes are available:"
    " 2 Preemption is not helpful for scheduling."
)


@pytest.mark.parametrize(
    ("facts", "wanted"),
    [
        pytest.param(
            ClaimFacts("c", a_claim(volume="v"), a_volume("n2")), "n2", id="where-the-volume-is"
        ),
        pytest.param(
            ClaimFacts("c", a_claim(volume="v"), a_volume("n9")),
            "0/2 nodes are available: 2 node(s) didn't match PersistentVolume's node affinity."
            f" {HELPLESS}",
            id="the-volume-is-elsewhere",
        ),
        pytest.param(
            ClaimFacts("c"),
            '0/2 nodes are available: persistentvolumeclaim "c" not found. not found',
            id="no-claim",
        ),
        pytest.param(
            ClaimFacts("c", a_claim(deleting=True)),
            '0/2 nodes are available: persistentvolumeclaim "c" is being deleted. not found',
            id="the-claim-goes",
        ),
        pytest.param(
            ClaimFacts("c", a_claim()),
            "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found",
            id="unbound",
        ),
        pytest.param(
            ClaimFacts("c", a_claim(), storage_class=LOCAL),
            "0/2 nodes are available: 2 node(s) didn't find available persistent volumes to bind."
            f" {HELPLESS}",
            id="nothing-to-bind",
        ),
        pytest.param(
            ClaimFacts("c", a_claim(), None, LOCAL, (a_volume("n2"),)), "n2", id="a-free-volume"
        ),
    ],
)
def test_binding(facts: ClaimFacts, wanted: str) -> None:
    assert decided(facts) == wanted


def test_a_claim_that_somebody_provisions_goes_anywhere() -> None:
    made = LOCAL | {"provisioner": "tiphys/local-path"}
    assert decided(ClaimFacts("c", a_claim(), storage_class=made)) in ("n1", "n2")


@pytest.mark.parametrize(
    ("zones", "wanted"),
    [
        pytest.param(("z1", "z2"), "n2", id="in-its-zone"),
        pytest.param(
            ("z1", "z3"),
            f"0/2 nodes are available: 2 node(s) had no available volume zone. {HELPLESS}",
            id="in-none",
        ),
    ],
)
def test_zones(zones: tuple[str, str], wanted: Any) -> None:
    facts = ClaimFacts("c", a_claim(volume="v"), a_volume(zone="z2"))
    assert decided(facts, zones=zones) == wanted


def test_claims_of_a_pod() -> None:
    volumes = [
        {"name": "a", "persistentVolumeClaim": {"claimName": "c"}},
        {"name": "b", "ephemeral": {}},
        {"name": "d", "emptyDir": {}},
    ]
    assert list(claim_names(a_pod("p", volumes=volumes))) == ["c", "p-b"]
