"""The Dockerfile parser: lines, directives, flags, here-documents."""

import pytest

from tiphys.runtime.build.dockerfile import DockerfileError, Heredoc, parse


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("FROM a", [("FROM", "a")], id="one"),
        pytest.param("from a as b\nrun x", [("FROM", "a as b"), ("RUN", "x")], id="lower-case"),
        pytest.param("# note\n\nFROM a\n  # x\nRUN y", [("FROM", "a"), ("RUN", "y")], id="notes"),
        pytest.param(
            "FROM a\nRUN x && \\\n  # between\n\n  y\nRUN z",
            [("FROM", "a"), ("RUN", "x &&   y"), ("RUN", "z")],
            id="continued-over-notes",
        ),
        pytest.param(
            "# escape=`\nFROM a\nRUN x `\n y\nRUN c:\\",
            [("FROM", "a"), ("RUN", "x  y"), ("RUN", "c:\\")],
            id="escape-directive",
        ),
        pytest.param(
            "# note\n# escape=`\nFROM a\nRUN x \\\ny",
            [("FROM", "a"), ("RUN", "x y")],
            id="directive-too-late",
        ),
        pytest.param("\ufeffARG v\nFROM a:$v", [("ARG", "v"), ("FROM", "a:$v")], id="mark"),
        pytest.param("FROM a\nRUN\techo x", [("FROM", "a"), ("RUN", "echo x")], id="tab"),
    ],
)
def test_instructions(text: str, found: list[tuple[str, str]]) -> None:
    assert [(one.name, one.rest) for one in parse(text).instructions] == found


def test_flags_stand_before_the_words() -> None:
    one = parse("FROM a\nCOPY --from=b --link --chown=1:2 x --y /z").instructions[1]
    assert one.flags == (("from", "b"), ("link", "true"), ("chown", "1:2"))
    assert (one.rest, one.line, one.flag("from"), one.flag("chmod")) == ("x --y /z", 2, "b", "")


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ('["a", "b c"]', ["a", "b c"]),
        ("[ -f x ] && y", None),
        ('["a", 1]', None),
        ("a b", None),
    ],
)
def test_exec_form(rest: str, words: list[str] | None) -> None:
    assert parse(f"FROM a\nRUN {rest}").instructions[1].json == words


def test_here_documents() -> None:
    text = "FROM a\nRUN cat <<A <<-'B' >x\n1 $x\nA\n\t2\n\tB\nCOPY <<f /g\nhello\nf\nRUN y <<<z"
    instructions = parse(text).instructions
    assert instructions[1].heredocs == (Heredoc("A", "1 $x\n", True), Heredoc("B", "2\n", False))
    assert instructions[2].heredocs == (Heredoc("f", "hello\n", True),)
    assert (instructions[3].rest, instructions[3].heredocs) == ("y <<<z", ())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "has no instructions"),
        ("RUN x", "line 1: RUN: no build stage"),
        ("FROM a\nNOPE x", "line 2: unknown instruction: NOPE"),
        ("FROM a\n\nRUN", "line 3: RUN requires an argument"),
        ("# escape=x\nFROM a", "invalid ESCAPE"),
        ("FROM a\nRUN <<E\nx", "line 2: RUN: unterminated heredoc E"),
    ],
)
def test_what_is_wrong_and_where(text: str, why: str) -> None:
    with pytest.raises(DockerfileError, match=why):
        parse(text)
