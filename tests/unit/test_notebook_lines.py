"""docs/notebook.md is complete: every line of the notebook, commands and tests that exist."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from shared import SHARED
from tiphys.__main__ import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = SHARED / "spec" / "notebook.md"
DOCUMENT = (ROOT / "docs" / "notebook.md").read_text()
ENTRY = re.compile(
    r"(?P<quote>(?:^>.*\n)+)(?P<rest>(?:(?!^>).*\n)*)",
    re.M,
)
OTHERS = {"kubectl", "pip"}  # Programs, beside our own, that show something.


def _entries() -> list[tuple[str, str]]:
    return [(m["quote"], m["rest"]) for m in ENTRY.finditer(DOCUMENT)]


def _quoted(word: str, text: str) -> list[str]:
    found = re.search(rf"^{word} by (.*)\.$", text, re.M)
    return re.findall(r"`([^`]+)`", found[1]) if found else []


@cache
def _tests_of(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef))


@pytest.mark.parametrize("entry", _entries(), ids=lambda e: e[0][2:40].strip())
def test_an_entry(entry: tuple[str, str]) -> None:
    _, rest = entry
    shown, proofs = _quoted("Shown", rest), _quoted("Proved", rest)
    assert shown, "no command shows it"
    assert proofs, "no test proves it"
    for command in shown:
        first, *words = command.split()
        assert first in OTHERS or (first == "tiphys" and words[0] in COMMANDS), command
    for proof in proofs:
        path, _, name = proof.partition("::")
        assert name in _tests_of(path), f"{proof} does not exist"


@pytest.mark.shared
@pytest.mark.skipif(not NOTEBOOK.is_file(), reason="../shared is not here")
def test_every_line_is_quoted() -> None:
    quoted = "".join(quote for quote, _ in _entries())
    lines = [line.removeprefix(">").strip() for line in quoted.splitlines()]
    there = iter(lines)
    missing = [
        line
        for line in NOTEBOOK.read_text().splitlines()
        if line.strip(" -") and line.strip() not in there
    ]
    assert missing == [], "lines that docs/notebook.md does not have, or not in this order"
