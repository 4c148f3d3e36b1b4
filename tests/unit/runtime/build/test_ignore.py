"""Patterns of .dockerignore, by the examples of Docker's documentation."""

import pytest

from tiphys.runtime.build.ignore import is_ignored, parse


@pytest.mark.parametrize(
    ("patterns", "ignored", "kept"),
    [
        pytest.param("*/temp*", ["a/temp", "a/temporary.txt", "a/temp/x"], ["temp", "a/b/temp"]),
        pytest.param("*/*/temp*", ["a/b/temp.txt"], ["a/temp.txt"]),
        pytest.param("temp?", ["tempa", "tempb/x"], ["temp", "tempab", "a/tempa"]),
        pytest.param("**/*.go", ["x.go", "a/b/x.go"], ["x.goo"]),
        pytest.param("*.md\n!README.md", ["a.md"], ["README.md"]),
        pytest.param("*.md\n!README*.md\nREADME-secret.md", ["README-secret.md"], ["README.md"]),
        pytest.param("*.md\nREADME-secret.md\n!README*.md", [], ["README-secret.md"]),
        pytest.param("# note\n\n/a/\n./b/../c", ["a", "a/x", "c"], ["b", "# note"]),
        pytest.param("dir\n!dir/keep", ["dir", "dir/x"], ["dir/keep", "dir/keep/y"]),
        pytest.param("[a-c]x\n[^z]y", ["ax", "by"], ["dx", "zy"]),
        pytest.param("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["a/xb"]),
        pytest.param("*", ["x", "a/b"], []),
        pytest.param("a\\*", ["a*"], ["ab"]),
    ],
)
def test_patterns(patterns: str, ignored: list[str], kept: list[str]) -> None:
    found = parse(patterns)
    assert [path for path in ignored + kept if is_ignored(path, found)] == ignored


def test_a_line_that_is_no_pattern_is_named() -> None:
    with pytest.raises(ValueError, match="line 2"):
        parse("ok\n[a")
