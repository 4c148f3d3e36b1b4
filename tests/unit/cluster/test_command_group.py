"""Commands of commands: help, unknown ones, and errors in a user's words."""

import sys
from types import ModuleType

import pytest

from tiphys.cli.output import CommandError
from tiphys.cluster.commands.group import Group


class Odd(Exception):
    pass


GROUP = Group(
    "thing",
    "thing_commands",
    "the thing",
    {"do": "does it"},
    {"make": "do"},
    errors={Odd: "LOG_NOT_FOUND"},
)


def outcome(monkeypatch: pytest.MonkeyPatch, error: Exception | None, word: str = "do") -> int:
    module = ModuleType("thing_commands.do")

    def run(profile: str, arguments: list[str]) -> int:
        if error is not None:
            raise error
        return 7

    vars(module)["run"] = run
    monkeypatch.setitem(sys.modules, "thing_commands", ModuleType("thing_commands"))
    monkeypatch.setitem(sys.modules, "thing_commands.do", module)
    return GROUP.run("p", [word, "x"])


@pytest.mark.parametrize("word", ["do", "make"])
def test_a_command_gives_its_own_code(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    assert outcome(monkeypatch, None, word) == 7


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (CommandError("no such thing"), 1, "Error: no such thing"),
        (Odd("broken"), 67, "cannot do the thing: broken"),
        (OSError("disk"), 1, "cannot do the thing: disk"),
    ],
)
def test_errors_are_told(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    code: int,
    words: str,
) -> None:
    assert outcome(monkeypatch, error) == code
    assert words in capsys.readouterr().err


def test_a_reader_that_has_gone_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BrokenPipeError):
        outcome(monkeypatch, BrokenPipeError())


def test_help_and_unknown_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert GROUP.run("p", []) == 0
    assert "  do  does it" in capsys.readouterr().out
    assert GROUP.run("p", ["nope"]) == 2
    assert 'unknown command "nope" for "tiphys thing"' in capsys.readouterr().err
