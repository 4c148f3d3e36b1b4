"""Whatever a user writes, there is an answer: a value, or an error of ours, in bounded time."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tiphys.cel import patterns, types
from tiphys.cel.environment import base
from tiphys.cel.errors import CompileError
from tiphys.cel.expression import compiled
from tiphys.cel.schema_types import escaped, unescaped
from tiphys.cel.values import equal

NAMES = ("self", "x", "n", "s", "l", "m")
ENVIRONMENT = base().with_variables({
    "self": types.DYN, "x": types.DYN, "n": types.INT, "s": types.STRING,
    "l": types.list_of(types.INT), "m": types.map_of(types.STRING, types.INT),
})  # fmt: skip
PIECES = st.sampled_from([
    *NAMES, *"()[]{}.,:?!-+*/%<>=&|'\"\\", "&&", "||", "==", "!=", "<=", ">=", "in", "true", "null",
    "1", "2u", "1.5", "'a'", "b'b'", "r'\\'", ".all(v, ", ".map(v, ", ".exists(v, ", ".filter(v, ",
    "has(", "size(", ".?a", "[?", "optional.of(", "duration('1s')", "timestamp(0)", ".matches(",
    ".format([", "quantity('1')", "ip('::1')", "dyn(", "T{a: ", "\n", " ", "é", "`", "//",
])  # fmt: skip
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=10,
)


def run(source: str, data: Any = None) -> None:
    values = {"self": data, "x": data, "n": 3, "s": "text", "l": [1, 2], "m": {"a": 1}}
    try:
        found = compiled(source, ENVIRONMENT)
    except CompileError:
        return
    outcome = found.program.run(values, limit=10_000)
    assert outcome.cost >= 0


@given(st.text(max_size=60))
def test_any_text(source: str) -> None:
    run(source)


@settings(max_examples=400)
@given(st.lists(PIECES, max_size=14))
def test_pieces_of_expressions_in_any_order(pieces: list[str]) -> None:
    run("".join(pieces))


def _binary(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    signs = st.sampled_from(["+", "-", "*", "/", "%", "==", "<", ">=", "&&", "||", "in"])
    return st.builds("({} {} {})".format, inner, signs, inner)


def _called(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    forms = st.sampled_from([
        "[{0}, {1}]", "{{'k': {0}}}", "{0}[{1}]", "{0}.a", "has({0}.a)", "size({0})", "string({0})",
        "int({0})", "dyn({0})", "type({0})", "!{0}", "-{0}", "({0} ? {1} : {0})", "{0}.all(v, {1})",
        "{0}.map(v, v)", "{0}.filter(v, {1})", "{0}.exists_one(v, v == {1})", "{0}.?a.orValue({1})",
        "{0}[?{1}]", "'%s'.format([{0}])", "{0}.contains({1})", "{0}.matches({1})", "{0}.sort()",
        "{0}.indexOf({1})", "{0}.split('')", "{0}.join()", "quantity({0})", "ip({0})", "url({0})",
        "sets.contains({0}, {1})", "{0}.transformMap(k, v, {1})", "{0}.substring({1})", "{0}.sum()",
        "timestamp({0})", "duration({0})", "semver({0})", "{0}.getHours({1})", "cidr({0})",
        "lists.range({0})", "{0}.slice({1}, {1})", "{0}.flatten({1})", "{0}.distinct()",
    ])  # fmt: skip
    return st.builds(str.format, forms, inner, inner)


LEAVES = st.sampled_from([
    "self", "x.a", "n", "s", "l", "m", "1", "0", "-1", "9223372036854775807", "2u", "1.5", "'a'",
    "''", "'1h'", "'10.0.0.0/8'", "b'x'", "true", "null", "[]", "{}", "v", "dyn(n)", "dyn(s)",
])  # fmt: skip
EXPRESSIONS = st.recursive(LEAVES, lambda inner: _binary(inner) | _called(inner), max_leaves=8)


@settings(max_examples=800, deadline=None)
@given(EXPRESSIONS, JSON)
def test_expressions_of_any_form_on_any_data(source: str, data: Any) -> None:
    run(source, data)
    run(f"dyn({source}) == dyn({source})", data)


@given(JSON)
def test_data_is_equal_to_itself_unless_a_number_is_none(data: Any) -> None:
    text = repr(data)
    assert equal(data, data) or "nan" in text


@given(st.from_regex(r"[a-zA-Z_./-][a-zA-Z0-9_./-]{0,12}", fullmatch=True))
def test_names_of_fields_come_back(name: str) -> None:
    own = escaped(name)
    assert own is not None
    assert unescaped(own) == name or "__" in name


@settings(deadline=None)
@given(st.text(max_size=20), st.text(max_size=200))
def test_patterns_end(pattern: str, text: str) -> None:
    try:
        found = patterns.compiled(pattern)
    except patterns.BadPattern:
        return
    assert len(found.all(text, -1)) <= len(text) + 1
