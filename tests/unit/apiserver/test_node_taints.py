"""TaintNodesByCondition: no pod goes to a node before it says that it is ready.

Upstream: plugin/pkg/admission/nodetaint/admission.go.
"""

from typing import Any

import pytest

from tiphys.apiserver.resources.core.node import before_create

NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
OTHER = {"key": "a", "value": "b", "effect": "NoExecute"}
EVICTING = NOT_READY | {"effect": "NoExecute"}
VALUED = NOT_READY | {"value": "x"}


@pytest.mark.parametrize(
    ("taints", "expected"),
    [
        pytest.param(None, [NOT_READY], id="none"),
        pytest.param([], [NOT_READY], id="empty"),
        pytest.param([OTHER], [OTHER, NOT_READY], id="others-stay-first"),
        pytest.param([EVICTING], [EVICTING, NOT_READY], id="another-effect-is-another-taint"),
        pytest.param([NOT_READY], [NOT_READY], id="there-already"),
        pytest.param([VALUED], [VALUED], id="there-with-a-value"),
    ],
)
def test_taints_of_a_new_node(taints: Any, expected: list[Any]) -> None:
    node: dict[str, Any] = {"metadata": {"name": "n"}, "spec": {"taints": taints}}
    before_create(node)
    assert node["spec"]["taints"] == expected


def test_a_node_without_a_spec_gets_one() -> None:
    node: dict[str, Any] = {"metadata": {"name": "n"}}
    before_create(node)
    assert node["spec"] == {"taints": [NOT_READY]}
