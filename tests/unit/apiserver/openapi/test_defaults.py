"""Defaults in documents of v3. Upstream: api/openapi-spec/v3."""

from typing import Any

import pytest

from tiphys.api.schema import SCHEMA
from tiphys.apiserver.openapi import defaults, v2
from tiphys.apiserver.openapi.schemas import Definitions

V3 = Definitions("#/components/schemas/", wraps_refs=True)
NONE = object()


@pytest.mark.parametrize(
    ("type_name", "field", "wanted"),
    [
        pytest.param("apps.v1.Deployment", "spec", {}, id="a-struct"),
        pytest.param("apps.v1.Deployment", "metadata", {}, id="a-struct-elsewhere"),
        pytest.param("apps.v1.DeploymentSpec", "selector", NONE, id="a-pointer-to-one"),
        pytest.param("apps.v1.DeploymentSpec", "template", {}, id="a-required-struct"),
        pytest.param("apps.v1.DeploymentCondition", "type", "", id="a-text"),
        pytest.param("apps.v1.DeploymentCondition", "reason", NONE, id="a-text-left-out-if-empty"),
        pytest.param("apps.v1.DeploymentCondition", "lastUpdateTime", NONE, id="a-time"),
        pytest.param("core.v1.ContainerPort", "containerPort", 0, id="a-number"),
        pytest.param("core.v1.ContainerStatus", "ready", False, id="a-truth-value"),
        pytest.param("core.v1.ResourceFieldSelector", "divisor", NONE, id="a-quantity"),
        pytest.param("core.v1.HTTPGetAction", "port", NONE, id="a-number-or-text"),
        pytest.param("core.v1.PodSpec", "containers", NONE, id="a-list"),
        pytest.param("core.v1.ContainerPort", "protocol", "TCP", id="marked"),
        pytest.param("core.v1.AzureDiskVolumeSource", "readOnly", False, id="marked-pointer"),
        pytest.param("core.v1.SecretKeySelector", "name", "", id="marked-empty"),
    ],
)
def test_a_default(type_name: str, field: str, wanted: Any) -> None:
    assert V3.of(type_name)["properties"][field].get("default", NONE) == wanted


def test_items_have_none() -> None:
    assert "default" not in V3.of("core.v1.PodSpec")["properties"]["containers"]["items"]


def test_v2_has_none() -> None:
    (port,) = v2.definitions_of(["core.v1.ContainerPort"]).values()
    assert all("default" not in body for body in port["properties"].values())


def test_every_mark_is_of_a_field() -> None:
    for type_name, marks in defaults._MARKED.items():
        assert set(marks) <= set(SCHEMA.types[type_name].fields), type_name
