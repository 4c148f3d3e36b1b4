"""Prometheus' text format: what is written is read again."""

import pytest

from tiphys.lib.prometheus_text import Family, Line, Sample, number, parse, render


def test_families() -> None:
    families = [
        Family("a_total", "counter", "What\nit \\ is", [Sample((), 3), Sample((("k", "v"),), 0.5)]),
        Family("empty", "gauge", "Left out", []),
        Family("h", "histogram", "", [Sample((("le", "+Inf"),), 2, 17, "_bucket")]),
    ]
    assert render(families).decode() == (
        "# HELP a_total What\\nit \\\\ is\n"
        "# TYPE a_total counter\n"
        "a_total 3\n"
        'a_total{k="v"} 0.5\n'
        "# HELP h \n"
        "# TYPE h histogram\n"
        'h_bucket{le="+Inf"} 2 17\n'
    )


@pytest.mark.parametrize("value", ["", "plain", 'a "quoted" \\ one', "two\nlines", "}, x=", "\\n"])
def test_labels_are_read_as_they_were_written(value: str) -> None:
    text = render([Family("m", "gauge", "", [Sample((("a", value), ("b", "c")), 1, 5)])])
    assert list(parse(text.decode())) == [Line("m", {"a": value, "b": "c"}, 1.0, 5)]


@pytest.mark.parametrize(
    "line", ["", "# HELP x y", "x", 'x{a="b" 1', 'x{a="b"}', "x one", 'x{a="b', "x{"]
)
def test_lines_that_are_no_samples_are_passed_over(line: str) -> None:
    assert list(parse(line)) == []


@pytest.mark.parametrize(
    ("value", "text"), [(1.0, "1"), (0.25, "0.25"), (float("inf"), "+Inf"), (1e18, str(10**18))]
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text
