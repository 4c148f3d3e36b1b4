"""Texts of expressions that are not valid: cel-go's, letter by letter, as users find them."""

import pytest

from tiphys.cel import types
from tiphys.cel.environment import Structs, base
from tiphys.cel.errors import CompileError
from tiphys.cel.expression import compiled

ENVIRONMENT = (
    base()
    .with_variables({"s": types.STRING, "n": types.INT, "self": types.struct("T")})
    .with_structs(Structs({"T": {"a": types.INT}}))
)
OPERAND = (
    "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING,"
    " BYTES, IDENTIFIER}"
)
ARGUMENT = OPERAND.replace("'(', ", "'(', ')', ")
MAP_START = OPERAND.replace("'{', ", "'{', '}', ").replace("'.', ", "'.', ',', ").replace(
    "'!', ", "'!', '?', "
)  # fmt: skip


def text_of(source: str) -> str:
    with pytest.raises(CompileError) as raised:
        compiled(source, ENVIRONMENT)
    return str(raised.value)


def one(column: int, text: str, source: str) -> str:
    return f"ERROR: <input>:1:{column}: {text}\n | {source}\n | {'.' * (column - 1)}^"


@pytest.mark.parametrize(("source", "column", "text"), [
    ("1 +", 4, f"Syntax error: mismatched input '<EOF>' expecting {OPERAND}"),
    ("bad(", 5, f"Syntax error: mismatched input '<EOF>' expecting {ARGUMENT}"),
    ("a b", 3, "Syntax error: extraneous input 'b' expecting <EOF>"),
    ("a b c", 3, "Syntax error: mismatched input 'b' expecting <EOF>"),
    ("Bad_Name!", 9, "Syntax error: extraneous input '!' expecting <EOF>"),
    ("{", 2, f"Syntax error: mismatched input '<EOF>' expecting {MAP_START}"),
    ("{a}", 3, "Syntax error: mismatched input '}' expecting ':'"),
    ("Object{foo", 11, "Syntax error: mismatched input '<EOF>' expecting ':'"),
    ("(1", 3, "Syntax error: missing ')' at '<EOF>'"),
    ("s[1", 4, "Syntax error: missing ']' at '<EOF>'"),
    ("[1, 2", 6, "Syntax error: mismatched input '<EOF>' expecting {']', ','}"),
    ("true ? 1", 9, "Syntax error: mismatched input '<EOF>' expecting ':'"),
    ("s.", 3, "Syntax error: no viable alternative at input '.'"),
    ('{"a": 1}."a"', 10, "Syntax error: no viable alternative at input '.\"a\"'"),
    ("s.true", 3, "Syntax error: mismatched input 'true' expecting IDENTIFIER"),
    ("TestAllTypes(){}", 15, "Syntax error: mismatched input '{' expecting <EOF>"),
    ("has(m)", 5, "invalid argument to has() macro"),
    ("1.all(2, 3)", 7, "argument must be a simple name"),
    ("s.filter(a.b, false)", 11, "argument is not an identifier"),
    ("[].exists(__result__, true)", 11,
     "iteration variable overwrites accumulator variable"),
    ("0xFFFFFFFFFFFFFFFFF", 1, "invalid int literal"),
    ("1.99e90000009", 1, "invalid double literal"),
    ("var", 1, "reserved identifier: var"),
    ("foo(1)", 4, "undeclared reference to 'foo' (in container '')"),
    ("nope", 1, "undeclared reference to 'nope' (in container '')"),
    ("self.q", 5, "undefined field 'q'"),
    ("s.format", 2, "type 'string' does not support field selection"),
    ("s.isIP()", 7, "found no matching overload for 'isIP' applied to 'string.()'"),
    ("s + n", 3, "found no matching overload for '_+_' applied to '(string, int)'"),
    ("s == null", 3, "found no matching overload for '_==_' applied to '(string, null)'"),
    ("[1, 'a']", 5, "expected type 'int' but found 'string'"),
    ("n && true", 1, "expected type 'bool' but found 'int'"),
    ("n.all(v, true)", 1,
     "expression of type 'int' cannot be range of a comprehension (must be list, map, or dynamic)"),
    ("duration('1x')", 10, "invalid duration argument"),
    ("timestamp('x')", 11, "invalid timestamp argument"),
    ("s.matches('(')", 11, "invalid matches argument"),
    ("'%d'.format(['x'])", 14,
     "error during formatting: decimal clause can only be used on integers, was given string"),
    ("'%s'.format(['x', 'y'])", 12,
     "too many arguments supplied to string.format (expected 1, got 2)"),
])  # fmt: skip
def test_one_mistake(source: str, column: int, text: str) -> None:
    assert text_of(source) == one(column, text, source)


def test_an_empty_expression_has_no_line_to_show() -> None:
    wanted = f"ERROR: <input>:1:0: Syntax error: mismatched input '<EOF>' expecting {OPERAND}"
    assert text_of("") == wanted


def test_several_mistakes_are_told_in_the_order_of_their_places() -> None:
    source = "*@a | b"
    assert text_of(source).split("\n | " + source + "\n | ") == [
        f"ERROR: <input>:1:1: Syntax error: extraneous input '*' expecting {OPERAND}",
        "^\nERROR: <input>:1:2: Syntax error: token recognition error at: '@'",
        ".^\nERROR: <input>:1:5: Syntax error: token recognition error at: '| '",
        "....^\nERROR: <input>:1:7: Syntax error: extraneous input 'b' expecting <EOF>",
        "......^",
    ]


def test_parsing_goes_on_behind_an_operator_without_an_operand() -> None:
    text = text_of("1 + +")
    assert f"1:5: Syntax error: mismatched input '+' expecting {OPERAND}" in text
    assert f"1:6: Syntax error: mismatched input '<EOF>' expecting {OPERAND}" in text


def test_the_line_of_the_mistake_is_shown() -> None:
    assert text_of("1 + 2\n3 +") == (
        "ERROR: <input>:2:1: Syntax error: mismatched input '3' expecting <EOF>\n | 3 +\n | ^"
    )


def test_wide_characters_have_wide_dots() -> None:
    assert text_of("'é' + nope").splitlines()[2] == " | .\uff0e....^"


def test_a_text_that_does_not_end_is_told_of_as_a_whole() -> None:
    assert "token recognition error at: ''abc'" in text_of("'abc")


@pytest.mark.parametrize("source", ["(" * 300 + "1" + ")" * 300, "!" * 5 + "(" * 260])
def test_nesting_is_bounded(source: str) -> None:
    assert "expression recursion limit exceeded: 250" in text_of(source)
