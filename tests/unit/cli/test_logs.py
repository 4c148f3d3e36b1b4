"""Durations of `kubectl logs --since`."""

import pytest

from tiphys.cli.kubectl.commands.logs import seconds
from tiphys.cli.output import CommandError


@pytest.mark.parametrize(
    ("text", "found"), [("90s", "90"), ("5m", "300"), ("1h30m", "5400"), ("7", "7")]
)
def test_durations(text: str, found: str) -> None:
    assert seconds(text) == found


@pytest.mark.parametrize("text", ["x", "h", "99999999999999h"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(CommandError, match="--since"):
        seconds(text)
