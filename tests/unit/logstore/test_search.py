"""What is looked for, and in which order the store is looked through."""

import re

import pytest

from tiphys.logstore.index import Chunk
from tiphys.logstore.pattern import regex_pattern, text_pattern
from tiphys.logstore.search import runs_of


@pytest.mark.parametrize(
    ("text", "ignore_case", "literal", "matching", "other"),
    [
        ("err(or|ing) at [0-9]+ items", False, b" items", "error at 12 items", "error at x items"),
        ("^GET /", False, b"GET /", "GET /x", "a GET /"),
        ("done$", False, b"done", "is done", "done it"),
        ("a|b", False, b"", "xbx", "xcx"),
        ("Fail", True, b"", "FAIL", "fall"),
        ("(?i)fail", False, b"", "FAIL", "fall"),
        ("grüße.*ok", False, "grüße".encode(), "grüße, ok", "grüsse, ok"),
        ("x*", False, b"", "", None),
    ],
)
def test_regular_expressions(
    text: str, ignore_case: bool, literal: bytes, matching: str, other: str | None
) -> None:
    pattern = regex_pattern(text, ignore_case=ignore_case)
    assert pattern.literal == literal
    assert pattern.matches(f"{matching}\n".encode())
    assert other is None or not pattern.matches(f"{other}\n".encode())


def test_a_broken_expression_is_an_error() -> None:
    with pytest.raises(re.error):
        regex_pattern("(")


def test_a_text_is_itself() -> None:
    pattern = text_pattern("a.b")
    assert (pattern.literal, pattern.matches(b"xa.b"), pattern.matches(b"axb")) == (
        b"a.b",
        True,
        False,
    )


def a_chunk(number: int, start: int, stop: int, segment: int = 0, last: str = "t") -> Chunk:
    return Chunk(number, segment, start, stop, 1, last)


def test_chunks_side_by_side_are_one_run() -> None:
    chunks = [
        a_chunk(1, 0, 10, last="c"),
        a_chunk(2, 10, 20, last="a"),
        a_chunk(4, 30, 40),
        a_chunk(5, 40, 50, segment=1),
    ]
    found = runs_of(chunks)
    assert [[c.id for c in run.chunks] for run in found] == [[1, 2], [4], [5]]
    assert found[0].newest == "c"


def test_runs_have_a_bound() -> None:
    size = 3 << 20
    chunks = [a_chunk(n, n * size, (n + 1) * size) for n in range(4)]
    assert [len(run.chunks) for run in runs_of(chunks)] == [2, 2]
