from typing import Any

import pytest

from tiphys.codec import yaml
from tiphys.codec.typed import DecodeError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", False),
        ("on", True),
        ("y", True),
        ("014", 12),
        ("0o14", 12),
        ("08", 8),
        ("1_000", 1000),
        ("1e3", 1000),
        ("1.5", 1.5),
        ("0x1F", 31),
        ("-0b11", -3),
        ("1:30", "1:30"),
        ("2001-01-01", "2001-01-01"),
        ("1e400", "1e400"),
        ("~", None),
        ("!!str 12", "12"),
        ("'1'", "1"),
        ("1.2.3", "1.2.3"),
    ],
)
def test_scalars_as_kubectl_reads_them(text: str, value: Any) -> None:
    assert yaml.decode(f"a: {text}") == {"a": value}


def test_keys_become_strings() -> None:
    assert yaml.decode("n: 1\n1: 2\n") == {"1": 2, "false": 1}


def test_duplicates_are_told_with_their_line() -> None:
    assert yaml.decode_strict("a: 1\nb: 2\na: 3\n") == (
        {"a": 3, "b": 2},
        ['line 3: key "a" already set in map'],
    )


def test_documents_anchors_and_merges() -> None:
    text = "a: &x {b: 1}\nc: {<<: *x, d: 2}\n---\n---\ne: 1\n"
    documents = list(yaml.decode_all(text))
    assert documents == [{"a": {"b": 1}, "c": {"b": 1, "d": 2}}, None, {"e": 1}]


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 5000, "a: b: c", "a: *x", "- a", "x"])
def test_refused(text: str) -> None:
    with pytest.raises(DecodeError):
        yaml.decode(text)


def test_aliases_that_explode_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    with pytest.raises(DecodeError, match="excessive aliasing"):
        yaml.decode("\n".join(lines))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("no", '"no"'),
        ("1", '"1"'),
        ("1:30", '"1:30"'),
        ("2024-01-01T00:00:00Z", '"2024-01-01T00:00:00Z"'),
        ("a: b", "'a: b'"),
        ("a\nb\n", "|\n  a\n  b"),
        ("x" * 200 + " y", "x" * 200 + "\n  y"),
        ("", '""'),
        (None, "null"),
        (True, "true"),
        ([], "[]"),
        ({}, "{}"),
        ([{"b": 1}], "\n- b: 1"),
    ],
)
def test_written_as_kubectl_prints(value: Any, text: str) -> None:
    separator = "" if text.startswith("\n") else " "
    assert yaml.encode({"a": value}).decode() == f"a:{separator}{text}\n"
