"""How many lines of a log are shown."""

import pytest

from tiphys.cluster.commands.logs import TAIL_LINES, last_lines, wanted_lines

LINES = [f"line {n}" for n in range(TAIL_LINES + 5)]


@pytest.mark.parametrize(
    ("tail", "one", "shown"),
    [
        pytest.param(0, True, [], id="none-of-one"),
        pytest.param(0, False, [], id="none-of-each"),
        pytest.param(2, False, LINES[-2:], id="two"),
        pytest.param(1000, True, LINES, id="more-than-there-are"),
        pytest.param(-1, False, LINES, id="all-of-each"),
        pytest.param(None, True, LINES, id="one-component"),
        pytest.param(None, False, LINES[-TAIL_LINES:], id="all-components"),
    ],
)
def test_lines(tail: int | None, one: bool, shown: list[str]) -> None:
    assert last_lines(LINES, wanted_lines(tail, one=one)) == shown
