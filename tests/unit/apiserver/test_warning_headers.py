"""Warnings as headers of an answer."""

import pytest

from tiphys.apiserver.responses import warning_headers


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        (["a", "b", "a", ""], ["a", "b"]),
        (['say "a\\b"'], ['say \\"a\\\\b\\"']),
        (["one line", "two\nlines"], ["one line"]),
        (["x" * 4096], ["x" * 4096]),
        (["x" * 4000, "y" * 300], ["x" * 256, "y" * 256]),
        ([f"{n:300}" for n in range(30)], [f"{n:300}"[:256] for n in range(16)]),
    ],
)
def test_warnings_are_bounded(texts: list[str], wanted: list[str]) -> None:
    assert warning_headers(texts) == tuple(("Warning", f'299 - "{text}"') for text in wanted)
