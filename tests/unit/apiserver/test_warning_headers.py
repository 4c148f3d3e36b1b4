"""Warnings as headers of an answer."""

from itertools import count

import pytest

from tiphys.apiserver.responses import warning_headers
from tiphys.apiserver.warning_bounds import WARNING_CUT, WARNINGS_MAX, within_bounds


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
    # What many are told of may end where an answer has no more room.
    assert warning_headers(within_bounds(texts)) == warning_headers(texts)


def test_no_more_is_asked_for_than_there_is_room_for() -> None:
    asked = count()
    assert len(within_bounds(f"{n:300}" for n in asked)) == WARNINGS_MAX // WARNING_CUT + 1
    assert within_bounds("the same" for _ in asked) == ["the same"]
    assert next(asked) < 2 * WARNINGS_MAX
