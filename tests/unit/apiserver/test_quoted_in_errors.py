"""How errors quote objects: in which order, with which empty parts, and the difference of two."""

from typing import Any

import pytest

from tiphys.api.field_errors import FieldError, go_quoted, invalid
from tiphys.api.go_form import api_form
from tiphys.api.meta import Obj
from tiphys.apiserver.as_written import quoted_as_written
from tiphys.apiserver.resources.rules.go_diff import go_diff
from tiphys.apiserver.resources.rules.semantic import semantically_equal
from tiphys.codec.patch import shown


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("a", '"a"'),
        ('"\\\n', '"\\"\\\\\\n"'),
        ("a\x00b", '"a\\x00b"'),
        ("\a\b\f\v\x7f", '"\\a\\b\\f\\v\\x7f"'),
        ("ü<", '"ü<"'),
        ("\u2028\U000e0001", '"\\u2028\\U000e0001"'),
    ],
)
def test_texts_as_go_quotes_them(text: str, quoted: str) -> None:
    assert go_quoted(text) == quoted


def test_fields_stand_in_their_order_and_empty_ones_are_left_out() -> None:
    given = {"labels": {}, "uid": "u", "namespace": "", "name": "n", "generation": 1}
    assert list(api_form(given, "meta.v1.ObjectMeta")) == ["name", "uid", "generation"]


def test_keys_of_maps_are_sorted_at_any_depth() -> None:
    expression = {"values": ["b", "a"], "operator": "In", "key": "k"}
    given = {"matchExpressions": [expression], "matchLabels": {"b": "1", "a": "2"}, "other": 1}
    found = api_form(given, "meta.v1.LabelSelector")
    assert list(found) == ["matchLabels", "matchExpressions"]
    assert list(found["matchLabels"]) == ["a", "b"]
    assert list(found["matchExpressions"][0]) == ["key", "operator", "values"]
    assert found["matchExpressions"][0]["values"] == ["b", "a"]


def quoting(obj: Obj) -> list[FieldError]:
    return [invalid("spec", obj["spec"], "no")]


@pytest.mark.parametrize(
    ("given", "spec"),
    [
        ({"a": 1, "list": [], "map": {}}, {"a": 1, "list": [], "map": {}}),
        ({"a": 1, "none": None}, {"a": 1}),
        ({"a": 1, "selector": {"matchLabels": {}}}, {"a": 1}),
    ],
)
def test_empty_parts_are_quoted_as_written(given: Obj, spec: Obj) -> None:
    obj: Obj = {"spec": {"a": 1}}
    if "selector" in given:
        obj["spec"]["selector"] = {}
        spec = spec | {"selector": {}}
    (error,) = quoted_as_written(quoting(obj), quoting, obj, {"spec": given})
    assert error.value == spec
    assert "list" not in obj["spec"]


def test_what_is_wrong_is_decided_by_the_form() -> None:
    def validate(obj: Obj) -> list[FieldError]:
        return [invalid("spec", 1, "no")] * len(obj["spec"])

    obj: Obj = {"spec": {"a": 1}}
    errors = validate(obj)
    assert quoted_as_written(errors, validate, obj, {"spec": {"a": 1, "b": []}}) is errors


@pytest.mark.parametrize(
    ("reached", "text"),
    [
        ({}, '{"data":{"a":"1","b":"2"},"kind":"ConfigMap","metadata":{"name":"n","uid":"u"}}'),
        (
            {"metadata": {}},
            '{"data":{"a":"1","b":"2"},"kind":"ConfigMap","metadata":{"name":"n","uid":"u"}}',
        ),
    ],
)
def test_patched_objects(reached: Any, text: str) -> None:
    obj = {
        "kind": "ConfigMap",
        "metadata": {"uid": "u", "name": "n"},
        "data": {"b": "2", "a": "1"},
    }
    assert shown.shown(obj, "core.v1.ConfigMap", reached) == text


def test_what_a_patch_reaches_is_sorted_by_name() -> None:
    obj = {"metadata": {"name": "n", "labels": {"a": "b"}}, "spec": {"b": 1, "a": 1}}
    operations = [{"op": "add", "path": "/metadata/labels/a~1b", "value": "c"}]
    reached = shown.reached_by_operations(operations)
    assert reached == {"metadata": {"labels": {}}}
    assert shown.reached_by_merge({"metadata": {"labels": {"a": "b"}, "name": "x"}}) == reached
    assert '"metadata":{"labels":{"a":"b"},"name":"n"}' in shown.shown(obj, "core.v1.Pod", reached)


def test_a_difference_shows_what_is_around_it() -> None:
    old = {"driver": "d.example.com", "volumeHandle": "h"}
    text = go_diff(
        {"csi": old}, {"csi": old | {"volumeHandle": "i"}}, "core.v1.PersistentVolumeSource"
    )
    lines = text.split("\n")
    assert lines[0].startswith("@@ ")
    assert [line for line in lines if line[:1] in ("+", "-")] == [
        '-  "VolumeHandle": "h",',
        '+  "VolumeHandle": "i",',
    ]


@pytest.mark.parametrize(
    ("one", "other", "are_equal"),
    [
        ({"a": []}, {}, True),
        ({"a": None}, {}, True),
        ({"a": [{"b": []}]}, {"a": [{}]}, True),
        ({"a": ""}, {}, False),
        ([1, 2], [2, 1], False),
    ],
)
def test_values_that_say_the_same(one: Any, other: Any, are_equal: bool) -> None:
    assert semantically_equal(one, other) is are_equal
