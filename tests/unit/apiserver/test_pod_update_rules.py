"""What may change in a pod, and how a refusal shows the rest."""

from typing import Any

import pytest

from tiphys.api.meta import Obj
from tiphys.apiserver.resources.core.pod_update_rules import validate_update

TERM = {"matchExpressions": [{"key": "a", "operator": "Exists"}]}
MORE = {"matchExpressions": [*TERM["matchExpressions"], {"key": "b", "operator": "Exists"}]}
NODE_AFFINITY = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution"


def a_pod(**spec: Any) -> Obj:
    return {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "b"}]} | spec}


def gated(**spec: Any) -> Obj:
    return a_pod(schedulingGates=[{"name": "g"}], **spec)


def on_nodes(*terms: Obj) -> Obj:
    needed = {"nodeSelectorTerms": list(terms)}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": needed}}


@pytest.mark.parametrize(
    ("old", "new", "paths"),
    [
        pytest.param(
            a_pod(activeDeadlineSeconds=9), a_pod(activeDeadlineSeconds=8), [], id="sooner"
        ),
        pytest.param(
            a_pod(),
            a_pod(activeDeadlineSeconds=-1, hostPID=True),
            ["spec.activeDeadlineSeconds"],
            id="a-wrong-deadline-ends-it",
        ),
        pytest.param(
            gated(nodeSelector={"a": "1"}),
            gated(nodeSelector={"a": "1", "b": "2"}),
            [],
            id="gated-narrower",
        ),
        pytest.param(
            gated(nodeSelector={"a": "1"}), gated(), ["spec.nodeSelector"], id="gated-wider"
        ),
        pytest.param(
            gated(affinity=on_nodes(TERM)), gated(affinity=on_nodes(MORE)), [], id="gated-term"
        ),
        pytest.param(
            gated(affinity=on_nodes(MORE)),
            gated(affinity=on_nodes(TERM)),
            [f"{NODE_AFFINITY}.nodeSelectorTerms[0]"],
            id="gated-term-loses-something",
        ),
        pytest.param(
            gated(affinity=on_nodes(TERM)),
            gated(),
            [f"{NODE_AFFINITY}.nodeSelectorTerms"],
            id="gated-terms-gone",
        ),
        pytest.param(a_pod(), a_pod(nodeSelector={"a": "1"}), ["spec"], id="not-gated"),
    ],
)
def test_what_may_change(old: Obj, new: Obj, paths: list[str]) -> None:
    assert [e.path for e in validate_update(new, old)] == paths


def test_a_refusal_shows_the_difference() -> None:
    [found] = validate_update(a_pod(nodeName="n"), a_pod())
    shown = found.detail.partition("\n")[2].splitlines()
    assert [line for line in shown if line[0] in "+-"] == [
        '- "NodeName": "",',
        '+ "NodeName": "n",',
    ]
