"""Two points make a rate; what began anew has no past."""

import pytest

from tiphys.metrics_server.points import Point, Points, Scraped, Usage, taken

POD = ("ns", "p")
BEGAN = 1000.0


def after(*points: Point) -> Points:
    """The state after rounds in which container c of a pod gave these points."""
    found = Points()
    for point in points:
        found = taken(found, {"n": Scraped(None, {POD: {"c": point}})})
    return found


@pytest.mark.parametrize(
    ("points", "usage"),
    [
        pytest.param([Point(BEGAN, 1, 7)], None, id="one-point-is-no-rate"),
        pytest.param(
            [Point(BEGAN, 1, 7), Point(BEGAN + 15, 4, 9)],
            Usage(BEGAN + 15, 15, 0.2, 9),
            id="two-points",
        ),
        pytest.param(
            [Point(BEGAN, 1, 7), Point(BEGAN + 15, 4, 9), Point(BEGAN + 30, 4, 8)],
            Usage(BEGAN + 30, 15, 0, 8),
            id="the-last-two-count",
        ),
        pytest.param(
            [Point(BEGAN, 1, 7), Point(BEGAN + 15, 4, 9), Point(BEGAN + 15, 4, 9)],
            Usage(BEGAN + 15, 15, 0.2, 9),
            id="a-point-that-came-twice",
        ),
        pytest.param(
            [Point(BEGAN, 9, 7, BEGAN - 99), Point(BEGAN + 15, 0.5, 9, BEGAN + 14)],
            None,
            id="restarted-a-moment-ago",
        ),
        pytest.param(
            [Point(BEGAN, 9, 7, BEGAN - 99), Point(BEGAN + 15, 1, 9, BEGAN + 5)],
            Usage(BEGAN + 15, 10, 0.1, 9),
            id="restarted-10-s-ago",
        ),
        pytest.param(
            [Point(BEGAN + 5, 1, 9, BEGAN)], Usage(BEGAN + 5, 5, 0.2, 9), id="young-from-its-start"
        ),
        pytest.param([Point(BEGAN + 1, 1, 9, BEGAN)], None, id="too-young"),
        pytest.param([Point(BEGAN + 61, 1, 9, BEGAN)], None, id="too-old-to-count-from-its-start"),
        pytest.param(
            [Point(BEGAN, 1, 7), Point(BEGAN + 61, 4, 9)], None, id="a-gap-is-longer-than-a-window"
        ),
    ],
)
def test_usage_of_a_container(points: list[Point], usage: Usage | None) -> None:
    wanted = None if usage is None else {"c": usage}
    assert after(*points).pod(POD) == wanted


def test_a_pod_is_told_when_all_its_containers_can_be() -> None:
    old, new = Point(BEGAN, 1, 1), Point(BEGAN + 15, 2, 1)
    first = taken(Points(), {"n": Scraped(None, {POD: {"a": old}})})
    second = taken(first, {"n": Scraped(None, {POD: {"a": new, "b": new}})})
    assert second.pod(POD) is None


def test_a_node_that_was_not_scraped_is_forgotten() -> None:
    both = Scraped(Point(BEGAN, 1, 1), {POD: {"c": Point(BEGAN, 1, 1)}})
    assert taken(taken(Points(), {"n": both}), {}) == Points()


def test_a_node_has_a_rate_as_containers_have() -> None:
    first = taken(Points(), {"n": Scraped(Point(BEGAN, 10, 5))})
    second = taken(first, {"n": Scraped(Point(BEGAN + 10, 15, 6))})
    assert (first.is_settled, second.is_settled) == (False, True)
    assert second.node("n") == Usage(BEGAN + 10, 10, 0.5, 6)
    assert second.node("m") is None
