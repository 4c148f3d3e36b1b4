"""Ids and exit codes of errors: each its own, each used, each written down."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tiphys.__main__ import main
from tiphys.cli import reasons

ROOT = Path(__file__).parents[3]
PLACES = ("src/tiphys/cluster", "src/tiphys/cli/commands")
RAISED = {"CommandError", "ProfileError", "profiles.ProfileError"}


def raised() -> Iterator[tuple[str, ast.Call]]:
    """(where, call) of every error that a command of tiphys makes."""
    for place in PLACES:
        for path in sorted((ROOT / place).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in RAISED:
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def ids_of(call: ast.Call) -> list[str] | None:
    """The ids that a call can give; None where another line chooses."""
    for word in call.keywords:
        if word.arg == "reason":
            constants = [n for n in ast.walk(word.value) if isinstance(n, ast.Constant)]
            return [str(n.value) for n in constants] or None
    return []


def test_ids_and_codes_are_their_own() -> None:
    assert len({r.id for r in reasons.ALL}) == len(reasons.ALL)
    assert len({r.code for r in reasons.ALL}) == len(reasons.ALL)
    assert all(1 <= r.code <= 125 or r.code == 127 for r in reasons.ALL)
    assert all(r.why and r.fix for r in reasons.ALL)


def test_every_error_names_a_known_id() -> None:
    nameless = [
        where for where, call in raised() if ids_of(call) == [] and "cluster/told.py" not in where
    ]
    assert nameless == []
    unknown = [
        (where, one)
        for where, call in raised()
        for one in ids_of(call) or []
        if one not in reasons.BY_ID
    ]
    assert unknown == []


def test_every_id_is_used() -> None:
    text = "".join(p.read_text() for place in PLACES for p in (ROOT / place).rglob("*.py"))
    text += (ROOT / "src/tiphys/cli/arguments.py").read_text()
    assert [r.id for r in reasons.ALL if r.id != "FAILED" and f'"{r.id}"' not in text] == []


def test_the_documentation_is_the_table() -> None:
    assert (ROOT / "docs/errors.md").read_text() == reasons.document()


@pytest.mark.parametrize(
    ("arguments", "reason_id"),
    [
        (["ip", "-p", "none"], "PROFILE_NOT_FOUND"),
        (["ip", "-p", "NONE"], "PROFILE_NAME"),
        (["status", "-p", "none"], "PROFILE_NOT_FOUND"),
        (["start", "-p", "none", "--nodes", "x"], "USAGE"),
        (["start", "-p", "none", "--nodes", "999"], "BAD_VALUE"),
        (["fly"], "USAGE"),
        (["node", "fly"], "USAGE"),
    ],
)
def test_commands_end_with_the_code_of_their_error(
    arguments: list[str],
    reason_id: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TIPHYS_HOME", str(tmp_path))
    code = reasons.of(reason_id).code
    assert main(arguments) == code
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Error: ")
    assert lines[-1] == f"  {reason_id} (exit code {code}, docs/errors.md)"


def test_the_same_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import json

    monkeypatch.setenv("TIPHYS_HOME", str(tmp_path))
    assert main(["stop", "-p", "none", "-o", "json"]) == 85
    assert json.loads(capsys.readouterr().out) == {
        "error": 'there is no profile "none"',
        "id": "PROFILE_NOT_FOUND",
        "why": "no cluster of that name was started",
        "fix": "start one: tiphys start",
        "exitCode": 85,
    }
