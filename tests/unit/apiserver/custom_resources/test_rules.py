"""Rules of a schema: what is said of them when they are written, and of objects that break them."""

from typing import Any

import pytest

from tiphys.apiserver.custom_resources.rule_definitions import rule_errors
from tiphys.apiserver.custom_resources.rule_validation import RuleValidator
from tiphys.apiserver.custom_resources.schema_rules import schema_errors

Obj = dict[str, Any]


def spec_schema(*rules: Obj, **properties: Obj) -> Obj:
    spec = {"type": "object", "properties": properties, "x-kubernetes-validations": list(rules)}
    return {"type": "object", "properties": {"spec": spec}}


def rule(text: str, **more: Any) -> Obj:
    return {"rule": text} | more


def texts(schema: Obj, new: Any, old: Any = None) -> list[str]:
    found = RuleValidator(schema).check(new, old)
    return [str(error) for error in found.errors]


NUMBER, STRING = {"type": "integer"}, {"type": "string"}


# --- definitions


@pytest.mark.parametrize(("written", "texts_wanted"), [
    (rule("self.a > 1"), []),
    (rule("self.a"), ["cel expression must evaluate to a bool"]),
    (rule("self.q"), ["compilation failed: ERROR: <input>:1:5: undefined field 'q'\n | self.q\n"
                      " | ....^"]),
    (rule("true", messageExpression="1"), ["messageExpression must evaluate to a string"]),
    (rule("true", messageExpression="string(self.a)"), []),
    (rule("true", optionalOldSelf=True), ["may not be set if oldSelf is not used in rule"]),
    (rule("self.a > oldSelf.a"), []),
    (rule("oldSelf.hasValue() || self.a > 1", optionalOldSelf=True), []),
    (rule("self.metadata.name == 'x'"),
     ["compilation failed: ERROR: <input>:1:5: undefined field 'metadata'\n"
      " | self.metadata.name == 'x'\n | ....^"]),
])  # fmt: skip
def test_what_a_rule_may_say(written: Obj, texts_wanted: list[str]) -> None:
    errors = rule_errors(spec_schema(written, a=NUMBER, s=STRING), "schema", [])
    assert [error.detail for error in errors] == texts_wanted


def test_the_root_knows_the_names_of_its_resource() -> None:
    schema: Obj = {"type": "object", "properties": {}}
    schema["x-kubernetes-validations"] = [rule("self.metadata.name.size() < 9 && self.kind != ''")]
    assert rule_errors(schema, "schema", []) == []


def test_a_rule_is_shown_in_upstreams_form() -> None:
    errors = rule_errors(spec_schema(rule("self.q < 9", message="m"), a=NUMBER), "schema", [])
    shown = (
        '{"Rule":"self.q \\u003c 9","Message":"m","MessageExpression":"","Reason":null,'
        '"FieldPath":"","OptionalOldSelf":null}'
    )
    assert errors[0].text().startswith(f"Invalid value: {shown}: compilation failed: ")


def test_costs_are_bounded_for_each_rule_and_for_all() -> None:
    many = {"type": "array", "items": STRING}
    text = "self.l.all(x, self.l.all(y, self.l.all(z, x == y && y == z)))"
    found = [str(error) for error in rule_errors(spec_schema(rule(text), l=many), "schema", [])]
    where = "schema.properties[spec].x-kubernetes-validations[0].rule: Forbidden: "
    how = (
        "exceeds budget by factor of more than 100x (try simplifying the rule, or adding maxItems,"
        " maxProperties, and maxLength where arrays, maps, and strings are declared)"
    )
    all_rules = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
    assert found == [
        f"{where}estimated rule cost {how}",
        f"{where}contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3"
        " schema",
        f"schema: Forbidden: {all_rules} {how}",
    ]


def test_a_rule_within_a_list_counts_as_often_as_the_list_is_long() -> None:
    item = STRING | {"x-kubernetes-validations": [rule("self.matches('a+')")], "maxLength": 1000}
    free = spec_schema(l={"type": "array", "items": item})
    bounded = spec_schema(l={"type": "array", "maxItems": 10, "items": item})
    assert rule_errors(free, "schema", [])
    assert rule_errors(bounded, "schema", []) == []


def test_old_values_need_items_with_names() -> None:
    item = STRING | {"x-kubernetes-validations": [rule("self == oldSelf")], "maxLength": 5}
    schema = spec_schema(l={"type": "array", "maxItems": 3, "items": item})
    found = rule_errors(schema, "schema", [])
    text = "oldSelf cannot be used on the uncorrelatable portion of the schema within"
    assert [e.detail for e in found] == [f"{text} schema.properties[spec].properties[l]"]


def test_rules_of_a_place_that_is_wrong_are_not_looked_at() -> None:
    schema = spec_schema(rule("self.q > 1"), a=NUMBER | {"x-kubernetes-map-type": "atomic"})
    assert [error.path for error in schema_errors(schema, "schema")] == [
        "schema.properties[spec].properties[a].type"
    ]


# --- objects


def test_an_object_that_keeps_the_rules_is_good() -> None:
    schema = spec_schema(rule("self.a < self.b"), a=NUMBER, b=NUMBER)
    assert texts(schema, {"spec": {"a": 1, "b": 2}}) == []


@pytest.mark.parametrize(("written", "text"), [
    (rule("self.a < 1"), "spec: Invalid value: failed rule: self.a < 1"),
    (rule("self.a < 1", message=" too big "), "spec: Invalid value: too big"),
    (rule("self.a < 1", messageExpression="'a is ' + string(self.a)"),
     "spec: Invalid value: a is 3"),
    (rule("self.a < 1", message="m", messageExpression="''"), "spec: Invalid value: m"),
    (rule("self.a < 1", message="m", messageExpression="self.s"), "spec: Invalid value: m"),
    (rule("self.a < 1", reason="FieldValueForbidden"), "spec: Forbidden: failed rule: self.a < 1"),
    (rule("self.a < 1", reason="FieldValueRequired"),
     "spec: Required value: failed rule: self.a < 1"),
    (rule("self.a < 1", reason="FieldValueDuplicate"), "spec: Duplicate value"),
    (rule("self.a < 1", fieldPath=".a"), "spec.a: Invalid value: failed rule: self.a < 1"),
    (rule("self.s == ''"), 'spec: Invalid value: "object": no such key: s evaluating rule:'
                           " self.s == ''"),
    (rule("dyn(self.a) + 'x' == ''"),
     "spec: Invalid value: \"object\": 'no such overload': call arguments did not match a supported"
     " operator, function or macro signature for rule: dyn(self.a) + 'x' == ''"),
    (rule("lists.range(2000000).size() > 0"),
     "spec: Invalid value: \"object\": 'operation cancelled: actual cost limit exceeded': no"
     " further validation rules will be run due to call cost exceeds limit for rule:"
     " lists.range(2000000).size() > 0"),
])  # fmt: skip
def test_what_is_said_of_an_object_that_breaks_a_rule(written: Obj, text: str) -> None:
    assert texts(spec_schema(written, a=NUMBER, s=STRING), {"spec": {"a": 3}}) == [text]


def test_a_value_that_is_no_object_is_shown() -> None:
    schema = spec_schema(a=NUMBER | {"x-kubernetes-validations": [rule("self > 5")]})
    assert texts(schema, {"spec": {"a": 3}}) == ["spec.a: Invalid value: 3: failed rule: self > 5"]


def test_rules_within_lists_and_maps_say_where_they_fail() -> None:
    inner = NUMBER | {"x-kubernetes-validations": [rule("self > 1")]}
    schema = spec_schema(
        l={"type": "array", "items": inner},
        m={"type": "object", "additionalProperties": inner},
    )
    found = texts(schema, {"spec": {"l": [2, 1], "m": {"a": 0, "b": 3}}})
    assert [text.partition(":")[0] for text in found] == ["spec.l[1]", "spec.m[a]"]


def test_transition_rules_are_asked_where_there_is_an_old_value() -> None:
    schema = spec_schema(rule("self.a >= oldSelf.a"), a=NUMBER)
    assert texts(schema, {"spec": {"a": 1}}) == []
    assert texts(schema, {"spec": {"a": 1}}, {"spec": {"a": 2}}) == [
        "spec: Invalid value: failed rule: self.a >= oldSelf.a"
    ]
    assert texts(schema, {"spec": {"a": 3}}, {}) == []


def test_an_optional_old_value_is_asked_for_always() -> None:
    text = "!oldSelf.hasValue() || oldSelf.value().a < self.a"
    schema = spec_schema(rule(text, optionalOldSelf=True), a=NUMBER)
    assert texts(schema, {"spec": {"a": 1}}) == []
    assert texts(schema, {"spec": {"a": 1}}, {"spec": {"a": 1}}) != []
    assert texts(schema, {"spec": {"a": 2}}, {"spec": {"a": 1}}) == []


def test_old_items_are_found_by_their_names() -> None:
    item = {
        "type": "object",
        "properties": {"name": STRING, "n": NUMBER},
        "x-kubernetes-validations": [rule("self.n >= oldSelf.n")],
    }
    schema = spec_schema(
        l={
            "type": "array",
            "items": item,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        }
    )
    old = {"spec": {"l": [{"name": "a", "n": 5}, {"name": "b", "n": 1}]}}
    new = {"spec": {"l": [{"name": "b", "n": 2}, {"name": "c", "n": 0}, {"name": "a", "n": 4}]}}
    assert [text.partition(":")[0] for text in texts(schema, new, old)] == ["spec.l[2]"]


def test_what_was_wrong_before_and_did_not_change_is_warned_of() -> None:
    schema = spec_schema(a=NUMBER | {"x-kubernetes-validations": [rule("self > 5")]}, b=NUMBER)
    found = RuleValidator(schema).check({"spec": {"a": 1, "b": 2}}, {"spec": {"a": 1, "b": 1}})
    assert found.errors == []
    assert found.warnings == ["spec.a: Invalid value: 1: failed rule: self > 5"]
    assert texts(schema, {"spec": {"a": 2}}, {"spec": {"a": 1}}) != []


def test_a_field_that_is_null_is_as_if_it_were_not_there() -> None:
    schema = spec_schema(rule("!has(self.s)"), s=STRING | {"nullable": True})
    assert texts(schema, {"spec": {"s": None}}) == []


@pytest.mark.parametrize(("field", "value", "text"), [
    ({"type": "string", "format": "date-time"}, "2020-01-02T03:04:05Z",
     "self.f.getFullYear() == 2020 && self.f > timestamp('2019-01-01T00:00:00Z')"),
    ({"type": "string", "format": "date"}, "2020-01-02", "self.f.getDate() == 2"),
    ({"type": "string", "format": "duration"}, "90s", "self.f == duration('1m30s')"),
    ({"type": "string", "format": "byte"}, "AAE=", "self.f == b'\\000\\001'"),
    ({"type": "number"}, 2, "self.f / 4.0 == 0.5"),
    ({"x-kubernetes-int-or-string": True}, "50%", "type(self.f) == string && self.f == '50%'"),
    ({"x-kubernetes-int-or-string": True}, 5, "type(self.f) == int && self.f == 5"),
    ({"type": "array", "items": STRING, "x-kubernetes-list-type": "set"}, ["a", "b"],
     "self.f == ['b', 'a'] || ['a', 'b'] == self.f"),
    ({"type": "object", "additionalProperties": NUMBER}, {"a-b": 1}, "self.f['a-b'] == 1"),
])  # fmt: skip
def test_values_are_what_their_schema_says(field: Obj, value: Any, text: str) -> None:
    assert texts(spec_schema(rule(text), f=field), {"spec": {"f": value}}) == []


def test_names_that_are_no_identifiers_are_escaped() -> None:
    names = {"namespace": NUMBER, "a-b": NUMBER, "c.d": NUMBER, "e__f": NUMBER, "g/h": NUMBER}
    text = (
        "self.__namespace__ + self.a__dash__b + self.c__dot__d + self.e__underscores__f"
        " + self.g__slash__h == 5"
    )
    assert texts(spec_schema(rule(text), **names), {"spec": dict.fromkeys(names, 1)}) == []


def test_all_rules_of_an_object_share_one_budget() -> None:
    text = "lists.range(900000).size() > 0"
    schema = spec_schema(*[rule(text)] * 20, a=NUMBER)
    found = texts(schema, {"spec": {"a": 1}})
    assert found == [
        'spec: Invalid value: "object": validation failed due to running out of cost budget, no'
        " further validation rules will be run"
    ]
