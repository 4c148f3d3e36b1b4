"""Pruning, defaults, formats, patterns, paths and columns of custom resources."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tiphys.apiserver.custom_resources import formats
from tiphys.apiserver.custom_resources.defaulting import drop_nulls, fill
from tiphys.apiserver.custom_resources.embedded import coerce, embedded_errors
from tiphys.apiserver.custom_resources.json_path import BadPath, find, parse
from tiphys.apiserver.custom_resources.patterns import BadPattern, compiled
from tiphys.apiserver.custom_resources.printing import columns
from tiphys.apiserver.custom_resources.pruning import prune

KEPT = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
EMBEDDED = KEPT | {"x-kubernetes-embedded-resource": True}


@pytest.mark.parametrize(
    ("schema", "value", "left", "paths"),
    [
        ({}, {"a": 1}, {}, ["f.a"]),
        ({"properties": {"a": {}}}, {"a": 1, "b": 2}, {"a": 1}, ["f.b"]),
        ({"additionalProperties": {"properties": {"a": {}}}}, {"x": {"a": 1, "b": 2}},
         {"x": {"a": 1}}, ["f.x.b"]),
        ({"items": {"properties": {"a": {}}}}, [{"a": 1}, {"b": 2}], [{"a": 1}, {}], ["f[1].b"]),
        (KEPT, {"x": {"y": 1}}, {"x": {"y": 1}}, []),
        (KEPT | {"properties": {"a": {"properties": {}}}}, {"a": {"b": 1}, "c": 1},
         {"a": {}, "c": 1}, ["f.a.b"]),
        (EMBEDDED, {"apiVersion": "v1", "metadata": {"name": "x"}, "spec": {}},
         {"apiVersion": "v1", "metadata": {"name": "x"}, "spec": {}}, []),
    ],
)  # fmt: skip
def test_pruning(schema: dict[str, Any], value: Any, left: Any, paths: list[str]) -> None:
    obj = {"kind": "K", "metadata": {"name": "a"}, "f": value}
    assert prune(obj, {"properties": {"f": schema}}) == paths
    assert obj == {"kind": "K", "metadata": {"name": "a"}, "f": left}


@pytest.mark.parametrize(
    ("schema", "value", "result"),
    [
        ({"properties": {"a": {"default": 1}}}, {}, {"a": 1}),
        ({"properties": {"a": {"default": 1}}}, {"a": 2}, {"a": 2}),
        ({"properties": {"a": {"default": 1}}}, {"a": None}, {"a": 1}),
        ({"properties": {"a": {"default": 1, "nullable": True}}}, {"a": None}, {"a": None}),
        ({"properties": {"a": {}}}, {"a": None}, {}),
        ({"properties": {"a": {"properties": {"b": {"default": 1}}}}}, {}, {}),
        ({"properties": {"a": {"default": {}, "properties": {"b": {"default": 1}}}}}, {},
         {"a": {"b": 1}}),
        ({"additionalProperties": {"properties": {"b": {"default": 1}}}}, {"x": {}},
         {"x": {"b": 1}}),
        ({"items": {"properties": {"b": {"default": 1}}}}, [{}], [{"b": 1}]),
    ],
)  # fmt: skip
def test_defaults(schema: dict[str, Any], value: Any, result: Any) -> None:
    drop_nulls(value, schema)
    fill(value, schema)
    assert value == result


def test_a_default_is_each_objects_own() -> None:
    schema: dict[str, Any] = {"properties": {"a": {"default": {"b": []}}}}
    one: dict[str, Any] = {}
    other: dict[str, Any] = {}
    fill(one, schema)
    one["a"]["b"].append(1)
    fill(other, schema)
    assert other == {"a": {"b": []}}


def test_errors_of_embedded_resources() -> None:
    schema = {"properties": {"e": {"additionalProperties": EMBEDDED}}}
    value = {"e": {"k": {"apiVersion": "a/b/c", "metadata": {"namespace": "N"}}}}
    text = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-'"
    errors = [str(e) for e in embedded_errors(value, schema)]
    assert errors[:2] == [
        'e[k].apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c',
        "e[k].kind: Required value",
    ]
    assert len(errors) == 3
    assert errors[2].startswith(f'e[k].metadata.namespace: Invalid value: "N": {text}')


def test_embedded_resources_say_what_they_are() -> None:
    schema = {"properties": {"e": EMBEDDED}}
    value: dict[str, Any] = {"e": {"kind": "Po d", "metadata": {"labels": {"a": "b"}, "zz": 1}}}
    assert coerce(value, schema) == ["e.metadata.zz"]
    assert value["e"]["metadata"]["labels"] == {"a": "b"}
    errors = [(e.path, e.kind) for e in embedded_errors(value, schema)]
    assert errors == [("e.apiVersion", "FieldValueRequired"), ("e.kind", "FieldValueInvalid")]


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("date-time", "2020-01-02T03:04:05.6Z", "2020-13-02T03:04:05Z"),
        ("date", "2020-02-29", "2021-02-29"),
        ("email", "a@b.io", "a b"),
        ("hostname", "a.b-c.io", "-a"),
        ("ipv4", "10.0.0.1", "10.0.0.256"),
        ("ipv6", "fe80::1", "10.0.0.1"),
        ("cidr", "10.0.0.0/8", "10.0.0.1"),
        ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123"),
        ("byte", "aGk=", "!"),
        ("uri", "https://a.b/c", "a b"),
        ("duration", "1h30m", "soon"),
        ("mac", "01:23:45:67:89:ab", "01:23"),
        ("int-or-string", "x", None),
    ],
)
def test_formats(name: str, good: str, bad: str | None) -> None:
    assert formats.is_known(name)
    assert formats.is_valid(name, good)
    assert bad is None or not formats.is_valid(name, bad)


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        ("^a$", "a", "a\n"),
        (r"^[[:alpha:]]+\z", "abc", "ab1"),
        (r"^\p{L}+$", "äb", "1"),
        (r"^[^\]]$", "a", "]"),
        (r"^\$x", "$x", "x"),
        (r"^\d$", "1", "\u0661"),
    ],
)
def test_patterns_mean_what_go_means(pattern: str, good: str, bad: str) -> None:
    assert compiled(pattern).search(good)
    assert not compiled(pattern).search(bad)


def test_a_pattern_that_is_none() -> None:
    with pytest.raises(BadPattern, match=r"^error parsing regexp: missing closing \]: `\[`$"):
        compiled("[")


OBJECT = {
    "a": {"b.c": 1, "l": [{"n": "x", "v": 1}, {"n": "y", "v": 2}]},
    "metadata": {"name": "o", "creationTimestamp": "2020-01-01T00:00:00Z"},
}


@pytest.mark.parametrize(
    ("path", "values"),
    [
        (".a.l[0].n", ["x"]),
        (".a.l[-1].n", ["y"]),
        (".a.l[5].n", []),
        (".a.l[*].n", ["x", "y"]),
        (".a.l[0:1].n", ["x"]),
        (".a['b.c']", [1]),
        (r".a.b\.c", [1]),
        ('.a.l[?(@.n=="y")].v', [2]),
        (".a.l[?(@.v>1)].n", ["y"]),
        ("..v", [1, 2]),
        (".z.q", []),
    ],
)
def test_paths(path: str, values: list[Any]) -> None:
    assert find(parse(path), OBJECT) == values


def test_a_path_that_is_none() -> None:
    with pytest.raises(BadPath):
        parse(".a[")


@pytest.mark.parametrize(
    ("path", "kind", "cell"),
    [
        (".a.l[*].n", "string", "x,y"),
        (".a.l[0]", "string", '{"n":"x","v":1}'),
        (".a.l[0].v", "string", "1"),
        (".a.l[0].v", "integer", 1),
        (".a.l[0].n", "integer", None),
        (".a.l[0].n", "boolean", None),
        (".metadata.creationTimestamp", "date", "24h"),
        (".a.l[0].n", "date", "<invalid>"),
        (".nothing", "string", None),
        (".a[", "string", None),
    ],
)
def test_cells(path: str, kind: str, cell: Any) -> None:
    own = [{"name": "C", "type": kind, "jsonPath": path}]
    name, column = columns({"additionalPrinterColumns": own})
    now = datetime(2020, 1, 2, tzinfo=UTC)
    assert (name.cell(OBJECT, now), column.cell(OBJECT, now)) == ("o", cell)
