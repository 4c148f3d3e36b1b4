"""Aggregated ClusterRoles have the rules of the roles that they select."""

from typing import Any

import pytest

from tiphys.api.meta import Obj
from tiphys.controllers.cluster_role_aggregation import aggregated_rules

A, B, C = ({"verbs": ["get"], "resources": [name]} for name in "abc")


def role(name: str, *rules: Obj, **labels: str) -> Obj:
    return {"metadata": {"name": name, "labels": labels}, "rules": list(rules)}


def aggregate(*selectors: dict[str, str]) -> Obj:
    chosen = [{"matchLabels": selector} for selector in selectors]
    return {"metadata": {"name": "all"}, "aggregationRule": {"clusterRoleSelectors": chosen}}


@pytest.mark.parametrize(
    ("selectors", "roles", "rules"),
    [
        pytest.param([{"x": "1"}], [], [], id="nobody"),
        pytest.param([{"x": "1"}], [role("r", A, x="1"), role("s", B, x="2")], [A], id="by-label"),
        pytest.param(
            [{"x": "1"}], [role("s", B, x="1"), role("r", A, x="1")], [A, B], id="by-name"
        ),
        pytest.param(
            [{"x": "1"}],
            [role("r", A, B, x="1"), role("s", B, C, x="1")],
            [A, B, C],
            id="each-once",
        ),
        pytest.param(
            [{"x": "1"}, {"y": "1"}], [role("r", A, x="1"), role("s", B, y="1")], [A, B], id="any"
        ),
        pytest.param([{"x": "1"}], [role("all", A, x="1")], [], id="never-itself"),
    ],
)
def test_rules(selectors: list[Any], roles: list[Obj], rules: list[Obj]) -> None:
    assert aggregated_rules(aggregate(*selectors), roles) == rules
