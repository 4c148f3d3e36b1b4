"""Quotes, escapes and variables, by the examples of the Dockerfile reference."""

import pytest

from tiphys.runtime.build.words import WordError, expand, pairs, split

VARIABLES = {"a": "1", "empty": "", "path": "/x y"}


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("$a", "1"),
        ("${a}b", "1b"),
        ("$ab", ""),
        ("\\$a", "$a"),
        ("\\${a}", "${a}"),
        ("'$a'", "$a"),
        ('"$a \\"q\\" \\n"', '1 "q" \\n'),
        ('x"$path"y', "x/x yy"),
        ("${none:-d}", "d"),
        ("${empty:-d}", "d"),
        ("${empty-d}", ""),
        ("${none-${a}}", "1"),
        ("${a:+yes}", "yes"),
        ("${empty:+yes}", ""),
        ("${empty+yes}", "yes"),
        ("cost $ 5", "cost $ 5"),
        ("a\\ b", "a b"),
    ],
)
def test_expand(word: str, value: str) -> None:
    assert expand(word, VARIABLES) == value


@pytest.mark.parametrize("word", ["'x", '"x', "${a", "${a!b}", "${}", "${none:?wanted}"])
def test_words_that_mean_nothing(word: str) -> None:
    with pytest.raises(WordError):
        expand(word, VARIABLES)


def test_split_keeps_quotes_together() -> None:
    assert list(split("a=1 b=\"x y\"  c='p q' d=r\\ s")) == ["a=1", 'b="x y"', "c='p q'", "d=r\\ s"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("k v", {"k": "v"}),
        ("k v with $a", {"k": "v with 1"}),
        ('k="v w" l=$a', {"k": "v w", "l": "1"}),
        ("k=", {"k": ""}),
        ("k=a=b", {"k": "a=b"}),
    ],
)
def test_pairs(text: str, found: dict[str, str]) -> None:
    assert pairs(text, VARIABLES) == found


@pytest.mark.parametrize("text", ["k", "k=v l"])
def test_pairs_without_a_value(text: str) -> None:
    with pytest.raises(WordError):
        pairs(text, {})
