"""Values against schemas. The texts are kube-apiserver's (recorded, or of kube-openapi's tests)."""

from typing import Any

import pytest

from tiphys.apiserver.custom_resources.list_types import check_lists
from tiphys.apiserver.custom_resources.validation import validate


def one(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema whose field `f` has this one."""
    return {"type": "object", "properties": {"f": schema}}


CASES: list[tuple[str, dict[str, Any], Any, list[str]]] = [
    ("number of the right type", {"type": "integer"}, 5, []),
    (
        "text for a number",
        {"type": "integer"},
        "5",
        ['f: Invalid value: "string": f in body must be of type integer: "string"'],
    ),
    (
        "fraction for an integer",
        {"type": "integer"},
        1.5,
        [
            'f: Invalid value: "number": f in body must be of type integer: "number"',
            '<nil>: Invalid value: "": Checked value must be of type integer (default format) in f',
        ],
    ),
    (
        "too big for its format",
        {"type": "integer", "format": "int32"},
        3_000_000_000,
        ['<nil>: Invalid value: "": Checked value must be of type integer with format int32 in f'],
    ),
    ("integer where a number may be", {"type": "number"}, 5, []),
    (
        "minimum",
        {"type": "integer", "minimum": 1},
        0,
        ["f: Invalid value: 0: f in body should be greater than or equal to 1"],
    ),
    (
        "exclusive minimum",
        {"type": "integer", "minimum": 1, "exclusiveMinimum": True},
        1,
        ["f: Invalid value: 1: f in body should be greater than 1"],
    ),
    (
        "maximum",
        {"type": "integer", "maximum": 10.0},
        11,
        ["f: Invalid value: 11: f in body should be less than or equal to 10"],
    ),
    (
        "multiple",
        {"type": "number", "multipleOf": 0.5},
        1.3,
        ["f: Invalid value: 1.3: f in body should be a multiple of 0.5"],
    ),
    (
        "too short",
        {"type": "string", "minLength": 2},
        "a",
        ['f: Invalid value: "a": f in body should be at least 2 chars long'],
    ),
    (
        "too long",
        {"type": "string", "maxLength": 5},
        "abcdefg",
        ["f: Too long: may not be more than 5 bytes"],
    ),
    (
        "pattern",
        {"type": "string", "pattern": "^[a-z]+$"},
        "abc\n",
        ["f: Invalid value: \"abc\\n\": f in body should match '^[a-z]+$'"],
    ),
    (
        "enum",
        {"type": "string", "enum": ["A", "B"]},
        "C",
        ['f: Unsupported value: "C": supported values: "A", "B"'],
    ),
    ("true is not one", {"enum": [1]}, True, ['f: Unsupported value: true: supported values: "1"']),
    (
        "format",
        {"type": "string", "format": "date-time"},
        "yesterday",
        ['f: Invalid value: "yesterday": f in body must be of type date-time: "yesterday"'],
    ),
    ("format that nobody knows", {"type": "string", "format": "nope"}, "x", []),
    ("integer or string", {"x-kubernetes-int-or-string": True}, "50%", []),
    (
        "neither integer nor string",
        {"x-kubernetes-int-or-string": True},
        True,
        ['f: Invalid value: "boolean": f in body must be of type integer,string: "boolean"'],
    ),
    ("null that may be", {"type": "string", "nullable": True}, None, []),
    (
        "null that may not be",
        {"type": "string"},
        None,
        ['f: Invalid value: "null": f in body must be of type string: "null"'],
    ),
    (
        "required",
        {"type": "object", "required": ["r"]},
        {},
        ["f.r: Required value"],
    ),
    (
        "items",
        {"type": "array", "items": {"type": "string"}, "maxItems": 1},
        ["a", 5],
        [
            'f[1]: Invalid value: "integer": f[1] in body must be of type string: "integer"',
            "f: Too many: 2: must have at most 1 item",
        ],
    ),
    (
        "values of a map",
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"a": "x"},
        ['f.a: Invalid value: "string": f.a in body must be of type integer: "string"'],
    ),
    (
        "one of none",
        {"type": "object", "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
        {},
        [
            '<nil>: Invalid value: "": "f" must validate one and only one schema (oneOf).'
            " Found none valid",
            "f.a: Required value",
        ],
    ),
    (
        "one of both",
        {"type": "object", "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
        {"a": 1, "b": 1},
        [
            '<nil>: Invalid value: "": "f" must validate one and only one schema (oneOf).'
            " Found 2 valid alternatives"
        ],
    ),
    (
        "not",
        {"type": "string", "not": {"enum": ["no"]}},
        "no",
        ['<nil>: Invalid value: "": "f" must not validate the schema (not)'],
    ),
    (
        "the first of length and pattern",
        {"type": "string", "maxLength": 2, "pattern": "^b"},
        "aaa",
        ["f: Too long: may not be more than 2 bytes"],
    ),
    (
        "what is missing comes last",
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["b"]},
        {"a": 1},
        [
            'f.a: Invalid value: "integer": f.a in body must be of type string: "integer"',
            "f.b: Required value",
        ],
    ),
    (
        "a bound that is no integer",
        {"type": "integer", "maximum": 1.5},
        2,
        [
            '<nil>: Invalid value: "": Maximum boundary value must be of type integer (default'
            " format) in f",
            "f: Invalid value: 2: f in body should be less than or equal to 1.5",
        ],
    ),
    (
        "integers and the integral part of a bound",
        {"type": "number", "minimum": 1.5},
        1,
        [],
    ),
    (
        "nothing but its properties",
        {"type": "object", "additionalProperties": False},
        {"a": 1},
        ['f: Invalid value: "a": f.a in body is a forbidden property'],
    ),
    ("any of", {"anyOf": [{"minimum": 5}, {"maximum": 1}]}, 0, []),
]


@pytest.mark.parametrize(
    ("schema", "value", "texts"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_errors(schema: dict[str, Any], value: Any, texts: list[str]) -> None:
    found = [str(error) for error in validate({"f": value}, one(schema))]
    assert found == texts


def test_what_was_wrong_before_may_stay() -> None:
    schema = one({"type": "integer", "minimum": 5}) | {"required": ["g"]}
    old = {"f": 1, "h": 1}
    assert [e.path for e in validate({"f": 1, "h": 2}, schema, old=old)] == ["g"]
    assert [e.path for e in validate({"f": 2, "h": 1}, schema, old=old)] == ["f", "g"]
    assert validate(old, schema, old=old) == []


def test_items_are_compared_with_those_of_the_same_keys() -> None:
    items = {"type": "object", "properties": {"k": {}, "v": {"type": "integer", "minimum": 5}}}
    schema = one(
        {
            "type": "array",
            "items": items,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["k"],
        }
    )
    old = {"f": [{"k": "a", "v": 1}, {"k": "b", "v": 2}]}
    new = {"f": [{"k": "b", "v": 2}, {"k": "a", "v": 3}]}
    assert [e.path for e in validate(new, schema, old=old)] == ["f[1].v"]


@pytest.mark.parametrize(
    ("kind", "value", "texts"),
    [
        ("set", ["a", "b"], []),
        ("set", ["a", "b", "a"], ['f[2]: Duplicate value: "a"']),
        ("set", ["a", "a", "b", "a", "a"], ['f[1]: Duplicate value: "a"']),
        ("map", [{"k": "a"}, {"k": "b"}], []),
        ("map", [{"v": 1}, {"k": "b"}, None], ["f[2]: Duplicate value: {}"]),
        (
            "map",
            [{"k": "a"}, {"k": "a"}, 5],
            ["f[2]: Invalid value: 5: must be an object for an array of list-type map"],
        ),
        ("map", [{"k": "a", "v": 1}, {"k": "a", "v": 2}], ['f[1]: Duplicate value: {"k":"a"}']),
        ("atomic", ["a", "a"], []),
    ],
)
def test_nothing_is_twice_in_sets_and_maps(kind: str, value: Any, texts: list[str]) -> None:
    listed = {
        "type": "array",
        "items": {},
        "x-kubernetes-list-type": kind,
        "x-kubernetes-list-map-keys": ["k"],
    }
    assert [str(e) for e in check_lists({"f": value}, one(listed))] == texts
