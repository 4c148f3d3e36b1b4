"""docs/api-coverage.md names every resource, verb, path and document, and tests that exist."""

import json
import re
from pathlib import Path
from typing import Final

import pytest

from tiphys.api.resources import ALL_VERBS, RESOURCES, ResourceInfo
from tiphys.apiserver.openapi import v3
from tiphys.apiserver.openapi.paths import operations

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = (ROOT / "docs" / "api-coverage.md").read_text()
ROWS: Final = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| resource |", "| path |", "| behaviour |"))
]
KINDS: Final = {tuple(re.findall(r"`([^`]+)`", row[0])): row for row in ROWS if len(row) == 4}
OF_SUBRESOURCES: Final = ("get", "patch", "update")


def named_tests(text: str) -> list[str]:
    return re.findall(r"`(tests/[^`]+\.py::\w+)`", text)


@pytest.mark.parametrize("name", sorted(set(named_tests(PAGE))))
def test_every_named_test_exists(name: str) -> None:
    path, _, function = name.partition("::")
    source = (ROOT / path).read_text()
    assert re.search(rf"^(?:async )?def {function}\(", source, re.MULTILINE), name


def test_every_row_names_a_test() -> None:
    for row in ROWS:
        if row[-1] != "tests" and not row[0].startswith("|--"):
            assert named_tests(row[-1]), row


def api_version(info: ResourceInfo) -> str:
    return f"{info.group}/{info.version}" if info.group else info.version


def subresources(text: str) -> dict[str, set[str]]:
    """`/status /finalize:update` as name -> verbs."""
    found = {}
    for word in text.split():
        if word != "-":
            name, _, verbs = word.removeprefix("/").partition(":")
            found[name] = set(verbs.split(",")) if verbs else set(OF_SUBRESOURCES)
    return found


@pytest.mark.parametrize("info", RESOURCES, ids=lambda r: f"{r.plural}.{r.version}.{r.group}")
def test_every_resource_has_its_line(info: ResourceInfo) -> None:
    row = KINDS[api_version(info), info.plural]
    verbs = set(ALL_VERBS) if row[1] == "all" else set(row[1].split())
    assert verbs == set(info.verbs)
    assert subresources(row[2]) == {n: set(s.verbs) for n, s in info.subresources.items()}


def test_no_line_is_of_nothing() -> None:
    assert set(KINDS) == {(api_version(r), r.plural) for r in RESOURCES}


def test_every_path_of_openapi_is_a_verb_of_a_line_or_a_document() -> None:
    known = {(operation.path, operation.method) for operation in operations(RESOURCES)}
    documents = {word for row in ROWS if len(row) == 3 for word in re.findall(r"`([^`]+)`", row[0])}
    for name in v3.document_paths():
        raw = v3.document_bytes(name, "v1")
        assert raw is not None
        for path, item in json.loads(raw)["paths"].items():
            for method in set(item) - {"parameters"}:
                assert (path, method) in known or shape_of(path) in documents, f"{method} {path}"


def shape_of(path: str) -> str:
    """`/apis/apps/v1/` as the table writes it."""
    parts = path.strip("/").split("/")
    if parts[0] == "apis" and len(parts) > 1:
        return "/apis/GROUP/VERSION/" if len(parts) == 3 else "/apis/GROUP/"
    return path
