"""Audit policies: which rule decides, and what is said of those that cannot be used."""

from typing import Any

import pytest
import yaml

from tiphys.apiserver.audit.policy import (
    DEFAULT_POLICY,
    Level,
    Policy,
    PolicyError,
    load,
    parse,
)
from tiphys.apiserver.request_info import parse_request
from tiphys.apiserver.user import User

ALICE = User("alice", ("dev", "system:authenticated"))
NODE = User("system:node:n1", ("system:nodes", "system:authenticated"))


def policy(*rules: dict[str, Any], **rest: Any) -> Policy:
    head = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy"}
    return parse(yaml.safe_dump(head | rest | {"rules": list(rules)}).encode())


def level(found: Policy, method: str, path: str, user: User = ALICE, query: str = "") -> Level:
    return found.verdict(user, parse_request(method, path, query)).level


PODS = "/api/v1/namespaces/a/pods"


@pytest.mark.parametrize(
    ("rule", "method", "path", "matches"),
    [
        ({}, "GET", PODS, True),
        ({"users": ["bob"]}, "GET", PODS, False),
        ({"users": ["alice"]}, "GET", PODS, True),
        ({"userGroups": ["ops", "dev"]}, "GET", PODS, True),
        ({"userGroups": ["ops"]}, "GET", PODS, False),
        ({"verbs": ["list"]}, "GET", PODS, True),
        ({"verbs": ["get"]}, "GET", PODS, False),
        ({"namespaces": ["a"]}, "GET", PODS, True),
        ({"namespaces": ["b"]}, "GET", PODS, False),
        ({"namespaces": [""]}, "GET", "/api/v1/nodes", True),
        ({"namespaces": ["a"]}, "GET", "/healthz", False),
        ({"resources": [{"group": ""}]}, "GET", PODS, True),
        ({"resources": [{"group": "apps"}]}, "GET", PODS, False),
        ({"resources": [{"group": "", "resources": ["pods"]}]}, "GET", f"{PODS}/p", True),
        ({"resources": [{"group": "", "resources": ["pods"]}]}, "GET", f"{PODS}/p/log", False),
        ({"resources": [{"group": "", "resources": ["pods/log"]}]}, "GET", f"{PODS}/p/log", True),
        ({"resources": [{"group": "", "resources": ["pods/*"]}]}, "GET", f"{PODS}/p/log", True),
        ({"resources": [{"group": "", "resources": ["pods/*"]}]}, "GET", f"{PODS}/p", True),
        ({"resources": [{"group": "", "resources": ["*/log"]}]}, "GET", f"{PODS}/p/log", True),
        ({"resources": [{"group": "", "resources": ["*/log"]}]}, "GET", f"{PODS}/p", False),
        ({"resources": [{"group": "", "resources": ["*"]}]}, "GET", f"{PODS}/p/log", True),
        (
            {"resources": [{"group": "", "resources": ["pods"], "resourceNames": ["p"]}]},
            "GET",
            f"{PODS}/p",
            True,
        ),
        (
            {"resources": [{"group": "", "resources": ["pods"], "resourceNames": ["q"]}]},
            "GET",
            f"{PODS}/p",
            False,
        ),
        ({"nonResourceURLs": ["/healthz*"]}, "GET", "/healthz/ping", True),
        ({"nonResourceURLs": ["/healthz"]}, "GET", "/healthz/ping", False),
        ({"nonResourceURLs": ["*"]}, "GET", "/version", True),
        ({"nonResourceURLs": ["*"]}, "GET", PODS, False),
    ],
)
def test_what_a_rule_matches(rule: dict[str, Any], method: str, path: str, matches: bool) -> None:
    found = level(policy({"level": "Metadata"} | rule), method, path)
    assert found is (Level.METADATA if matches else Level.NONE)


def test_the_first_rule_that_matches_decides() -> None:
    found = policy(
        {"level": "None", "verbs": ["get"]},
        {"level": "RequestResponse", "userGroups": ["dev"]},
        {"level": "Metadata"},
    )
    assert level(found, "GET", f"{PODS}/p") is Level.NONE
    assert level(found, "POST", PODS) is Level.REQUEST_RESPONSE
    assert level(found, "POST", PODS, NODE) is Level.METADATA


def test_stages_and_managed_fields_are_left_out_for_all_or_by_rule() -> None:
    found = policy(
        {"level": "Request", "users": ["alice"], "omitStages": ["Panic"]},
        {"level": "Request", "omitManagedFields": False},
        omitStages=["RequestReceived"],
        omitManagedFields=True,
    )
    alice = found.verdict(ALICE, parse_request("GET", PODS))
    assert alice.omitted == {"RequestReceived", "Panic"}
    assert alice.omit_managed_fields
    node = found.verdict(NODE, parse_request("GET", PODS))
    assert node.omitted == {"RequestReceived"}
    assert not node.omit_managed_fields


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ("[", "is no YAML"),
        ("[]", "is no object"),
        ("{apiVersion: audit.k8s.io/v1beta1, kind: Policy}", "is not a Policy"),
        ("{rules: []}", "has no rules"),
        ("{rulez: [], rules: [{level: None}]}", "rulez: unknown field"),
        ("{rules: [{level: All}]}", r"rules\[0\].level: 'All' is none of None, Metadata"),
        ("{rules: [{level: None}, {levle: None}]}", r"rules\[1\].levle: unknown field"),
        ("{rules: [{level: None, verbs: get}]}", r"rules\[0\].verbs: is no list of texts"),
        ("{rules: [{level: None, omitStages: [X]}]}", r"rules\[0\].omitStages: 'X'"),
        ("{omitStages: [X], rules: [{level: None}]}", "^omitStages: 'X'"),
        (
            "{rules: [{level: None, nonResourceURLs: [/x], namespaces: [a]}]}",
            "both regular resources and paths",
        ),
        ("{rules: [{level: None, nonResourceURLs: [x]}]}", "'x' is no path"),
        (
            '{rules: [{level: None, resources: [{group: "", resourceNames: [a]}]}]}',
            r"resources\[0\].resourceNames: requires at least one resource",
        ),
    ],
)
def test_policies_that_cannot_be_used(document: str, why: str) -> None:
    text = document
    if document.startswith("{") and "apiVersion" not in document:
        text = document.replace("{", "{apiVersion: audit.k8s.io/v1, kind: Policy, ", 1)
    with pytest.raises(PolicyError, match=why):
        parse(text.encode())


@pytest.mark.parametrize(
    ("method", "path", "user", "wanted"),
    [
        ("GET", "/api/v1/namespaces/a/secrets/s", ALICE, Level.METADATA),
        ("POST", "/api/v1/namespaces/a/secrets", ALICE, Level.METADATA),
        ("PUT", "/api/v1/namespaces/a/configmaps/c", ALICE, Level.METADATA),
        ("POST", "/api/v1/namespaces/a/serviceaccounts/s/token", ALICE, Level.METADATA),
        ("POST", "/apis/authentication.k8s.io/v1/tokenreviews", ALICE, Level.METADATA),
        ("POST", "/apis/apps/v1/namespaces/a/deployments", ALICE, Level.REQUEST),
        ("GET", PODS, ALICE, Level.METADATA),
        ("GET", PODS, NODE, Level.NONE),
        ("PATCH", "/api/v1/nodes/n1/status", NODE, Level.NONE),
        ("GET", "/healthz", ALICE, Level.NONE),
    ],
)
def test_the_default_policy(method: str, path: str, user: User, wanted: Level) -> None:
    assert level(load(DEFAULT_POLICY), method, path, user) is wanted
