"""Stages: names, arguments before the first FROM, what a target needs."""

import pytest

from tiphys.runtime.build.dockerfile import DockerfileError, parse
from tiphys.runtime.build.stages import needed, plan

TEXT = """
ARG base=busybox
ARG tag
FROM ${base}:${tag:-1} AS One
RUN a
FROM one AS two
FROM scratch
COPY --from=one /a /b
FROM alpine AS unused
FROM two
COPY --from=2 /b /c
"""


def test_bases_take_global_arguments() -> None:
    found = plan(parse(TEXT), {"tag": "9"})
    assert [(s.name, s.base) for s in found.stages] == [
        ("one", "busybox:9"),
        ("two", "one"),
        ("", "scratch"),
        ("unused", "alpine"),
        ("", "two"),
    ]
    assert found.global_args == {"base": "busybox", "tag": "9"}


@pytest.mark.parametrize(
    ("target", "wanted"),
    [("", [0, 1, 2, 4]), ("two", [0, 1]), ("TWO", [0, 1]), ("2", [0, 2]), ("unused", [3])],
)
def test_only_what_a_target_is_made_from(target: str, wanted: list[int]) -> None:
    assert [s.index for s in needed(plan(parse(TEXT), {}).stages, target)] == wanted


def test_an_unknown_target() -> None:
    with pytest.raises(ValueError, match="target stage 'x' could not be found"):
        needed(plan(parse(TEXT), {}).stages, "x")


@pytest.mark.parametrize("line", ["FROM a b", "FROM a AS", "FROM $nothing"])
def test_from_that_says_too_little(line: str) -> None:
    with pytest.raises(DockerfileError, match="line 1: FROM"):
        plan(parse(line), {})
