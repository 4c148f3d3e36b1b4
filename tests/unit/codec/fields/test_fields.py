"""Sets of fields: what an object has, how two differ, what an apply leaves."""

from time import process_time
from typing import Any

import pytest

from tiphys.codec.fields.compare import compare, field_set, fields_of_new
from tiphys.codec.fields.field_set import (
    difference,
    difference_below,
    in_order,
    intersection,
    members,
    path_text,
    union,
)
from tiphys.codec.fields.merge import merge, remove
from tiphys.codec.fields.shape import shape_of, zero_of
from tiphys.codec.fields.unfit import UNFIT_CHARS_MAX, UNFIT_MAX, why_unfit

DEPLOYMENT = shape_of("apps.v1.Deployment")
POD = shape_of("core.v1.PodSpec")
META = shape_of("meta.v1.ObjectMeta")


def containers(*items: dict[str, Any]) -> dict[str, Any]:
    return {"containers": list(items)}


@pytest.mark.parametrize(
    ("one", "other", "both", "less", "common"),
    [
        ({"f:a": {}}, {"f:b": {}}, {"f:a": {}, "f:b": {}}, {"f:a": {}}, None),
        ({"f:a": {}}, {"f:a": {}}, {"f:a": {}}, None, {"f:a": {}}),
        (
            {"f:a": {".": {}, "f:x": {}}},
            {"f:a": {"f:x": {}}},
            {"f:a": {".": {}, "f:x": {}}},
            {"f:a": {}},
            {"f:a": {"f:x": {}}},
        ),
        (
            {"f:a": {"f:x": {}}},
            {"f:a": {}},
            {"f:a": {".": {}, "f:x": {}}},
            {"f:a": {"f:x": {}}},
            None,
        ),
        (None, {"f:a": {}}, {"f:a": {}}, None, None),
        ({"f:a": {}}, None, {"f:a": {}}, {"f:a": {}}, None),
    ],
)
def test_sets(one: Any, other: Any, both: Any, less: Any, common: Any) -> None:
    assert union(one, other) == both
    assert union(other, one) == both
    assert difference(one, other) == less
    assert intersection(one, other) == common


def test_what_is_below_a_member_goes_with_it() -> None:
    fields: Any = {"f:status": {"f:phase": {}}, "f:spec": {"f:a": {}}}
    assert difference_below(fields, {"f:status": {}}) == {"f:spec": {"f:a": {}}}
    assert difference(fields, {"f:status": {}}) == fields


def test_paths_as_errors_name_them() -> None:
    fields: Any = {"f:l": {'k:{"b":"x","a":1}': {".": {}, "f:z": {}}, 'v:"s"': {}}, "f:a": {}}
    assert list(in_order(fields)) == ["f:a", "f:l"]
    texts = [path_text(path) for path in members(fields)]
    assert texts == [".a", '.l[a=1,b="x"]', '.l[a=1,b="x"].z', '.l[="s"]']


@pytest.mark.parametrize(
    ("shape", "value", "found"),
    [
        (META, {"labels": {"a": "b"}}, {"f:labels": {"f:a": {}}}),
        (META, {"labels": {}}, {"f:labels": {}}),
        (META, {"finalizers": ["x"]}, {"f:finalizers": {'v:"x"': {}}}),
        (META, {"ownerReferences": [{"name": "n"}]}, {"f:ownerReferences": {'k:{"uid":""}': {}}}),
        (
            POD,
            containers({"name": "c", "ports": [{"containerPort": 80}]}),
            {
                "f:containers": {
                    'k:{"name":"c"}': {
                        ".": {},
                        "f:name": {},
                        "f:ports": {
                            'k:{"containerPort":80,"protocol":"TCP"}': {
                                ".": {},
                                "f:containerPort": {},
                            }
                        },
                    }
                }
            },
        ),
        (POD, {"nodeSelector": {"a": "b"}}, {"f:nodeSelector": {}}),
    ],
)
def test_fields_of_an_applied_object(shape: Any, value: Any, found: Any) -> None:
    assert field_set(shape, value) == found


@pytest.mark.parametrize(
    ("old", "new", "added", "modified", "removed"),
    [
        ({"labels": {"a": "1"}}, {"labels": {"a": "1"}}, None, None, None),
        ({"labels": {"a": "1"}}, {"labels": {"a": "2"}}, None, {"f:labels": {"f:a": {}}}, None),
        ({}, {"labels": {"a": "1"}}, {"f:labels": {".": {}, "f:a": {}}}, None, None),
        ({"labels": {"a": "1"}}, {}, None, None, {"f:labels": {".": {}, "f:a": {}}}),
        ({"labels": None}, {"labels": {"a": "1"}}, {"f:labels": {"f:a": {}}}, None, None),
        (
            {"finalizers": ["a"]},
            {"finalizers": ["b"]},
            {"f:finalizers": {'v:"b"': {}}},
            None,
            {"f:finalizers": {'v:"a"': {}}},
        ),
    ],
)
def test_differences(old: Any, new: Any, added: Any, modified: Any, removed: Any) -> None:
    assert compare(META, old, new) == (added, modified, removed)


def test_a_new_object_is_compared_with_what_go_writes_of_an_empty_one() -> None:
    zero = zero_of("apps.v1.Deployment")
    new = {"spec": {"strategy": {"type": "Recreate"}, "selector": {"matchLabels": {"a": "b"}}}}
    found = compare(DEPLOYMENT, zero, new)
    spec = (union(found.added, found.modified) or {})["f:spec"]
    assert spec["f:strategy"] == {"f:type": {}}, "a struct of Go's is always there"
    assert spec["f:selector"] == {}, "atomic"


NEW: list[tuple[str, dict[str, Any]]] = [
    ("apps.v1.Deployment", {"spec": {"strategy": {"type": "Recreate"}, "selector": {}}}),
    ("apps.v1.Deployment", {"metadata": {"labels": {"b": "1", "a": "2"}, "annotations": {}}}),
    (
        "core.v1.Pod",
        {"spec": containers({"name": "b"}, {"name": "a", "env": [{"name": "X", "value": ""}]})},
    ),
    ("core.v1.Pod", {"spec": containers({"name": "c", "resources": {}, "command": []})}),
    ("core.v1.ConfigMap", {"data": {"a": "b"}, "immutable": False}),
    ("core.v1.Service", {"spec": {"ports": [{"port": 1}], "selector": {"a": "b"}}, "status": {}}),
    ("core.v1.Node", {"spec": {"taints": None}, "metadata": {"finalizers": ["b", "a"]}}),
    ("core.v1.ServiceAccount", {}),
]


@pytest.mark.parametrize(("name", "new"), NEW)
def test_fields_of_a_new_object_are_those_of_a_comparison(name: str, new: dict[str, Any]) -> None:
    shape, zero = shape_of(name), zero_of(name)
    change = compare(shape, zero, new)
    wanted = union(change.added, change.modified)
    found = fields_of_new(shape, zero, new)
    assert found == wanted
    assert found is None or repr(found) == repr(in_order(found)), "in order"


@pytest.mark.parametrize(
    ("live", "applied"),
    [
        ("a b c", "c a"),
        ("a b", "b a"),
        ("a", "x a y"),
        ("a b c", ""),
        ("", "a"),
        ("p a q b r", "b a"),
    ],
)
def test_the_order_of_merged_items(live: str, applied: str) -> None:
    def lists(names: str) -> Any:
        return containers(*({"name": n} for n in names.split()))

    found = merge(POD, lists(live), lists(applied))
    assert sorted(c["name"] for c in found["containers"]) == sorted(
        {*live.split(), *applied.split()}
    )
    order = [c["name"] for c in found["containers"] if c["name"] in applied.split()]
    assert order == applied.split()


def test_taking_fields_out() -> None:
    value = containers({"name": "a", "image": "x"}, {"name": "b"})
    left = remove(POD, value, {"f:containers": {'k:{"name":"a"}': {"f:image": {}}}})
    assert left == containers({"name": "a"}, {"name": "b"})
    left = remove(POD, value, {"f:containers": {'k:{"name":"a"}': {".": {}, "f:image": {}}}})
    assert left == containers({"name": "b"})
    assert remove(POD, containers({"name": "a"}), {"f:containers": {}}) == {}


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"spec": {"replicas": 1}}, ""),
        ({"spec": {"replicaz": 1}}, ".spec.replicaz: field not declared in schema"),
        (
            {"metadata": {"finalizers": ["a", "a"]}},
            '.metadata.finalizers: duplicate entries for key [="a"]',
        ),
        ({"spec": {"template": []}}, ".spec.template: expected map, got &{[]}"),
        (
            {"spec": {"replicas": "x"}},
            ".spec.replicas: expected numeric (int or float), got string",
        ),
        ({"spec": {"selector": "x"}}, ".spec.selector: expected map, got &{x}"),
        ({"metadata": {"finalizers": "x"}}, ".metadata.finalizers: expected list, got &{x}"),
        (
            {"metadata": {"finalizers": [None]}},
            ".metadata.finalizers: element 0: associative list without keys has an element that's"
            " an explicit null",
        ),
        (
            {"metadata": {"labels": {"a": 1}}, "spec": {"paused": [True, "b"]}},
            "errors:\n  .metadata.labels.a: expected string, got"
            " &value.valueUnstructured{Value:1}\n  .spec.paused: expected boolean, got"
            " &{[true b]}",
        ),
        (
            {"metadata": {"ownerReferences": [{"name": "x"}]}},
            "",
        ),
        (  # What is owned as a whole is looked into too.
            {"spec": {"selector": {"zz": 1}}},
            ".spec.selector.zz: field not declared in schema",
        ),
        (
            {"spec": {"selector": {"matchExpressions": [{"key": "a"}, {"values": [1]}]}}},
            ".spec.selector.matchExpressions[1].values[0]: expected string, got"
            " &value.valueUnstructured{Value:1}",
        ),
        (
            {"metadata": {"ownerReferences": [{"uid": "x", "zz": 1}]}},
            '.metadata.ownerReferences[uid="x"].zz: field not declared in schema',
        ),
        (
            {"metadata": {"creationTimestamp": [1]}},
            ".metadata.creationTimestamp: expected any scalar, got &{[1]}",
        ),
    ],
)
def test_why_an_object_does_not_fit(value: Any, why: str) -> None:
    assert why_unfit(DEPLOYMENT, value) == why


ITEMS = 20_000
CPU_SECONDS_MAX = 1.0


def test_what_repeats_one_key_is_gathered_in_one_go() -> None:
    container = shape_of("core.v1.Container")
    value = {"env": [{"name": "a", "value": str(n)} for n in range(ITEMS)]}
    begun = process_time()
    assert field_set(container, value) == {"f:env": {'k:{"name":"a"}': {}}}
    assert compare(container, value, {}).removed == {"f:env": {".": {}, 'k:{"name":"a"}': {}}}
    assert process_time() - begun < CPU_SECONDS_MAX


def test_errors_with_long_paths_are_few() -> None:
    name = "a" * ITEMS
    value = {"spec": {"template": {"metadata": {"labels": {f"{name}{n}": n for n in range(99)}}}}}
    lines = why_unfit(DEPLOYMENT, value).splitlines()
    assert len("".join(lines)) < UNFIT_CHARS_MAX + 2 * ITEMS


def test_many_errors_are_not_all_told() -> None:
    value = {"metadata": {"labels": {str(n): n for n in range(ITEMS)}}}
    lines = why_unfit(DEPLOYMENT, value).splitlines()
    assert len(lines) == UNFIT_MAX + 1
