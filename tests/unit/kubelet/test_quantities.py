"""Quantities as numbers."""

import pytest

from tiphys.kubelet import quantities


@pytest.mark.parametrize(
    ("text", "whole", "milli"),
    [
        ("100m", 1, 100),
        ("1.5", 2, 1500),
        ("1Ki", 1024, 1_024_000),
        ("2e3", 2000, 2_000_000),
        ("1M", 1_000_000, 1_000_000_000),
        ("5u", 1, 1),
    ],
)
def test_values(text: str, whole: int, milli: int) -> None:
    assert (quantities.value(text), quantities.milli_value(text)) == (whole, milli)


@pytest.mark.parametrize("text", ["", "x", "1Q", "1 "])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        quantities.parse(text)


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        (["100m", "900m"], "1"),
        (["1Gi", "512Mi"], "1536Mi"),
        (["50m"], "50m"),
        (["1", "100m"], "1100m"),
        ([], "0"),
    ],
)
def test_sums_are_canonical(texts: list[str], wanted: str) -> None:
    assert quantities.total(texts) == wanted
