"""What is said of policies whose expressions do not fit the kinds that they are for."""

from typing import Any

import pytest

from tiphys.api.meta import GroupVersionKind, GroupVersionResource, Obj
from tiphys.cel.builtin_types import builtin_type
from tiphys.controllers.policy_type_checks import custom_type, resources_of, warnings

DEPLOYMENT = GroupVersionKind("apps", "v1", "Deployment")
REPLICA_SET = GroupVersionKind("apps", "v1", "ReplicaSet")
POD = GroupVersionKind("", "v1", "Pod")


def policy(*expressions: str, **more: Any) -> Obj:
    validations = [{"expression": expression} for expression in expressions]
    return {"metadata": {"name": "p"}, "spec": {"validations": validations} | more}


def told(expression: str, kind: str = "apps.v1.Deployment", **more: Any) -> list[str]:
    gvk = GroupVersionKind("g", "v", "K")
    found = warnings(policy(expression, **more), [(gvk, builtin_type(kind))], None)
    return [one["warning"] for one in found]


def test_a_field_that_no_kind_has() -> None:
    kinds = [(REPLICA_SET, builtin_type("apps.v1.ReplicaSet"))]
    kinds += [(DEPLOYMENT, builtin_type("apps.v1.Deployment"))]
    found = warnings(policy("object.spec.replicas > 1", "object.replicas > 1"), kinds, None)
    text = "ERROR: <input>:1:7: undefined field 'replicas'\n | object.replicas > 1\n | ......^\n"
    assert found == [
        {
            "fieldRef": "spec.validations[1].expression",
            "warning": f"apps/v1, Kind=Deployment: {text}\napps/v1, Kind=ReplicaSet: {text}",
        }
    ]


@pytest.mark.parametrize(
    "expression",
    [
        "object.spec.template.spec.containers.all(c, c.image.startsWith('x/'))",
        "object.metadata.labels['a'] == 'b' && object.metadata.name != ''",
        "object.metadata.creationTimestamp < timestamp('2040-01-01T00:00:00Z')",
        "object.spec.strategy.rollingUpdate.maxSurge == '25%'",
        "oldObject == null || oldObject.spec.replicas == object.spec.replicas",
        "quantity(object.spec.template.spec.containers[0].resources.limits['cpu']).isLessThan("
        "quantity('2'))",
        "request.operation == 'CREATE' && namespaceObject.metadata.name == 'x'",
        "authorizer.requestResource.check('create').allowed()",
    ],
)
def test_what_fits(expression: str) -> None:
    assert told(expression) == []


def test_what_does_not_fit() -> None:
    assert "no matching overload for '_==_'" in told("object.spec.replicas == 'x'")[0]
    assert "undefined field 'nope'" in told("object.metadata.nope == 'x'")[0]
    assert "undeclared reference to 'params'" in told("params.x == 1")[0]


def test_variables_have_the_types_of_their_expressions() -> None:
    count = [{"name": "count", "expression": "object.spec.replicas"}]
    assert told("variables.count > 1", variables=count) == []
    assert "no matching overload" in told("variables.count == 'x'", variables=count)[0]


def test_a_type_that_holds_itself() -> None:
    kind = "apiextensions.v1.CustomResourceDefinition"
    assert told("object.spec.versions[0].schema.openAPIV3Schema.type == 'object'", kind) == []


def test_kinds_that_definitions_define() -> None:
    widget = GroupVersionKind("example.com", "v1", "Widget")
    group = {"group": "example.com", "version": "v1", "kind": "Widget"}
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}},
        "x-kubernetes-group-version-kind": [group],
    }
    document = {"components": {"schemas": {"com.example.v1.Widget": schema}}}
    own = custom_type(document, widget)
    assert own is not None
    assert (
        warnings(
            policy("object.spec.size > 1 && has(object.metadata.labels)"), [(widget, own)], None
        )
        == []
    )
    found = warnings(policy("object.spec.colour == 'red'"), [(widget, own)], None)
    assert found[0]["warning"].startswith("example.com/v1, Kind=Widget: ERROR: <input>:1:12:")
    assert custom_type({}, widget) is None


def test_parameters_are_typed_too() -> None:
    kind = {"apiVersion": "v1", "kind": "ConfigMap"}
    pods = [(POD, builtin_type("core.v1.Pod"))]
    params = builtin_type("core.v1.ConfigMap")
    good = policy("params.data['x'] == object.metadata.name", paramKind=kind)
    assert warnings(good, pods, params) == []
    bad = policy("params.spec == 1", paramKind=kind)
    text = "/v1, Kind=Pod: ERROR: <input>:1:7: undefined field 'spec'"
    assert warnings(bad, pods, params)[0]["warning"].startswith(text)
    assert warnings(bad, pods, None) == []


def test_only_what_is_named_is_looked_at() -> None:
    rules = [
        {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments", "*/scale"]},
        {"apiGroups": ["*"], "apiVersions": ["v1"], "resources": ["pods"]},
        {"apiGroups": [""], "apiVersions": ["*"], "resources": ["pods"]},
        {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods", "*", "pods/status"]},
    ]
    found = resources_of(policy(matchConstraints={"resourceRules": rules}))
    assert found == [
        GroupVersionResource("apps", "v1", "deployments"),
        GroupVersionResource("", "v1", "pods"),
    ]
