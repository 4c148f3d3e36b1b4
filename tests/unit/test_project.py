"""The project's own promises: lists that must agree, paths that must exist."""

import re
import tomllib
from pathlib import Path

import tiphys

ROOT = Path(__file__).resolve().parents[2]


def test_every_dependency_has_a_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.split(r"[<>=\[]", d)[0] for d in project["dependencies"]}
    text = (ROOT / "docs" / "dependencies.md").read_text().split("Debian packages")[0]
    reasons = set(re.findall(r"^\| ([A-Za-z0-9-]+) \|", text, re.MULTILINE)) - {"package"}
    assert names == reasons


def test_the_upstream_version_is_one() -> None:
    assert (ROOT / "UPSTREAM_VERSION").read_text().strip() == tiphys.UPSTREAM_VERSION


def test_every_path_in_the_architecture_exists() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    paths = re.findall(r"`((?:src|tests|docs|bench|tools)/[^`*<>{}]+)`", text)
    missing = [p for p in paths if not (ROOT / p).exists()]
    assert len(paths) > 20
    assert missing == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    banned = {"utils", "helpers", "common", "misc", "manager", "base"}
    found = [p for p in (ROOT / "src").rglob("*.py") if p.stem in banned]
    assert found == []


def test_files_stay_small() -> None:
    long = {
        str(p.relative_to(ROOT)): count
        for p in (ROOT / "src").rglob("*.py")
        if (count := len(p.read_text().splitlines())) > 500
    }
    assert long == {}
