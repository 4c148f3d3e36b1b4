"""Options of lists and watches."""

import pytest

from tiphys.api.errors import BadRequest
from tiphys.apiserver.list_options import check_timeout, parse_list_options, query_int


@pytest.mark.parametrize("text", ["", "x", "1.5"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(BadRequest, match="invalid syntax"):
        query_int({"limit": [text]}, "limit")


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1])
def test_what_is_no_int64(number: int) -> None:
    with pytest.raises(BadRequest, match="value out of range"):
        query_int({"sinceSeconds": [str(number)]}, "sinceSeconds")


@pytest.mark.parametrize(
    ("params", "wanted"),
    [
        pytest.param({}, True, id="from-nowhere"),
        pytest.param({"resourceVersion": ["0"]}, True, id="from-zero"),
        pytest.param({"resourceVersion": ["7"]}, None, id="from-a-revision"),
        pytest.param(
            {"sendInitialEvents": ["false"], "resourceVersionMatch": ["NotOlderThan"]},
            False,
            id="refused",
        ),
    ],
)
def test_initial_events_of_a_watch(params: dict[str, list[str]], wanted: bool | None) -> None:
    assert parse_list_options(params, watch=True).send_initial_events is wanted


def test_a_list_has_no_initial_events() -> None:
    assert parse_list_options({}, watch=False).send_initial_events is None


@pytest.mark.parametrize("text", ["", "0", "1s", "1h30m", "-1.5h", ".5s"])
def test_durations(text: str) -> None:
    check_timeout({"timeout": [text]})


@pytest.mark.parametrize("text", ["bad", "1", "1 s", "s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(BadRequest, match=f'time: invalid duration "{text}"'):
        check_timeout({"timeout": [text]})
