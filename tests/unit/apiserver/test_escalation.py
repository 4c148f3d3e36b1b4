"""Who may grant what."""

import pytest

from tiphys.api.meta import Obj
from tiphys.apiserver.filters.escalation import (
    changes_only_gc_fields,
    compact,
    not_covered,
    shown_rule,
)


def on(resources: str, verbs: str, group: str = "", names: str = "") -> Obj:
    rule: Obj = {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}
    return rule | ({"resourceNames": names.split()} if names else {})


def path(url: str, verbs: str = "get") -> Obj:
    return {"nonResourceURLs": [url], "verbs": verbs.split()}


@pytest.mark.parametrize(
    ("held", "wanted"),
    [
        pytest.param(on("pods", "get list"), on("pods", "list"), id="same-resource"),
        pytest.param(on("*", "*", "*"), on("a b", "x", "g", "n"), id="everything"),
        pytest.param(on("*/scale", "get"), on("deployments/scale", "get"), id="any-subresource"),
        pytest.param(on("pods", "get"), on("pods", "get", names="a"), id="all-names-cover-one"),
        pytest.param(path("/healthz/*"), path("/healthz/etcd"), id="path-below"),
        pytest.param(path("*"), path("*"), id="all-paths"),
    ],
)
def test_covered(held: Obj, wanted: Obj) -> None:
    assert not_covered([held], [wanted]) == []


@pytest.mark.parametrize(
    ("held", "wanted"),
    [
        pytest.param(on("pods", "get"), on("pods", "list"), id="verb"),
        pytest.param(on("pods", "get"), on("pods", "*"), id="all-verbs"),
        pytest.param(on("pods", "get"), on("pods", "get", "apps"), id="group"),
        pytest.param(on("pods", "get"), on("pods/log", "get"), id="subresource"),
        pytest.param(on("pods", "get", names="a"), on("pods", "get"), id="all-names"),
        pytest.param(on("pods", "get", names="a"), on("pods", "get", names="b"), id="other-name"),
        pytest.param(on("*", "*", "*"), path("/metrics"), id="resources-are-no-paths"),
        pytest.param(path("/metrics"), path("/metrics/a"), id="path-below"),
    ],
)
def test_not_covered(held: Obj, wanted: Obj) -> None:
    assert not_covered([held], [wanted])


def test_what_is_missing_is_told_by_resource() -> None:
    missing = not_covered([on("pods", "get")], [on("pods secrets", "get list"), path("*")])
    assert [shown_rule(r) for r in compact(missing)] == [
        '{APIGroups:[""], Resources:["pods"], Verbs:["list"]}',
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}',
        '{NonResourceURLs:["*"], Verbs:["get"]}',
    ]


@pytest.mark.parametrize(
    ("changed", "only"),
    [
        pytest.param({"metadata": {"name": "a", "finalizers": ["x/y"]}}, True, id="finalizers"),
        pytest.param({"metadata": {"name": "a", "labels": {"a": "b"}}}, False, id="labels"),
        pytest.param({"metadata": {"name": "a"}, "rules": [on("p", "get")]}, False, id="rules"),
    ],
)
def test_what_the_garbage_collector_needs(changed: Obj, only: bool) -> None:
    assert changes_only_gc_fields(changed, {"metadata": {"name": "a"}}) is only
