"""For which requests a policy is."""

from typing import Any

import pytest

from tiphys.apiserver.policies.matching import Subject, matched_version

RULE = {
    "apiGroups": ["apps"],
    "apiVersions": ["v1"],
    "operations": ["CREATE"],
    "resources": ["deployments"],
}


def subject(**more: Any) -> Subject:
    known: dict[str, Any] = {
        "operation": "CREATE",
        "group": "apps",
        "versions": ("v1",),
        "resource": "deployments",
        "subresource": "",
        "namespace": "default",
        "name": "web",
        "namespace_labels": {"env": "test"},
        "object_labels": [{"app": "web"}],
    }
    return Subject(**known | more)


def is_for(rule: dict[str, Any], **more: Any) -> bool:
    return bool(matched_version({"resourceRules": [RULE | rule]}, subject(**more)))


@pytest.mark.parametrize(
    ("rule", "request_", "wanted"),
    [
        ({}, {}, True),
        ({}, {"operation": "UPDATE"}, False),
        ({"operations": ["*"]}, {"operation": "DELETE"}, True),
        ({}, {"group": "batch"}, False),
        ({"apiGroups": ["*"]}, {"group": "batch"}, True),
        ({}, {"subresource": "scale"}, False),
        ({"resources": ["deployments/scale"]}, {"subresource": "scale"}, True),
        ({"resources": ["deployments/scale"]}, {}, False),
        ({"resources": ["*"]}, {"subresource": "scale"}, False),
        ({"resources": ["*/scale"]}, {"subresource": "scale"}, True),
        ({"resources": ["*/*"]}, {"subresource": "scale"}, True),
        ({"resourceNames": ["web"]}, {}, True),
        ({"resourceNames": ["db"]}, {}, False),
        ({"scope": "Namespaced"}, {}, True),
        ({"scope": "Cluster"}, {}, False),
        ({"scope": "Cluster"}, {"namespace": ""}, True),
    ],
)
def test_rules(rule: dict[str, Any], request_: dict[str, Any], wanted: bool) -> None:
    assert is_for(rule, **request_) is wanted


def test_other_versions_count_unless_the_match_is_exact() -> None:
    match = {"resourceRules": [RULE | {"apiVersions": ["v2"]}]}
    asked = subject(versions=("v1", "v2"))
    assert matched_version(match, asked) == "v2"
    assert matched_version(match | {"matchPolicy": "Exact"}, asked) == ""


def test_what_is_excluded() -> None:
    match = {"resourceRules": [RULE], "excludeResourceRules": [RULE | {"resourceNames": ["web"]}]}
    assert matched_version(match, subject()) == ""
    assert matched_version(match, subject(name="db")) == "v1"


def test_selectors() -> None:
    by_namespace = {"resourceRules": [RULE], "namespaceSelector": {"matchLabels": {"env": "prod"}}}
    assert matched_version(by_namespace, subject()) == ""
    # What lies in no namespace is not asked for one.
    assert matched_version(by_namespace, subject(namespace_labels=None)) == "v1"
    by_object = {"resourceRules": [RULE], "objectSelector": {"matchLabels": {"app": "web"}}}
    assert matched_version(by_object, subject()) == "v1"
    assert matched_version(by_object, subject(object_labels=[{}, {"app": "web"}])) == "v1"
    assert matched_version(by_object, subject(object_labels=[{}])) == ""


def test_a_binding_without_a_match_is_for_everything_that_its_policy_is_for() -> None:
    assert matched_version(None, subject()) == "v1"
    assert matched_version({}, subject()) == "v1"
