import pytest

from tiphys.api.quantity import Quantity, QuantityError, normal, of, parse


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("1", "1"),
        ("1.0", "1"),
        ("1.5", "1500m"),
        ("1.500", "1.500"),
        ("0.5", "500m"),
        ("1000m", "1"),
        ("1024Mi", "1Gi"),
        ("1000Ki", "1000Ki"),
        ("1.5Gi", "1536Mi"),
        ("0.1Gi", "107374182400m"),
        ("1e3", "1e3"),
        ("0Gi", "0"),
        ("00", "0"),
        ("0.0000000001", "1n"),
        ("-3Mi", "-3Mi"),
    ],
)
def test_canonical_text(text: str, canonical: str) -> None:
    assert str(parse(text)) == canonical


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "quantities must match the regular expression"),
        ("a", "quantities must match the regular expression"),
        ("1 ", "quantities must match the regular expression"),
        ("1Kii", "unable to parse quantity's suffix"),
        ("9" * 200, "unable to parse numeric part of quantity"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(QuantityError, match=message):
        parse(text)


def test_numbers_of_json_are_quantities() -> None:
    assert [normal(2), normal(0.5), normal(" 1 ")] == ["2", "500m", "1"]


def test_arithmetic_is_exact() -> None:
    assert of("100m") + of("0.9") == Quantity(10**9)
    assert str(of("1Gi") + of("1Gi")) == "2Gi"
    assert of("1Gi") - of("1Mi") < of("1G") + of("1G")
    assert (of("1500m").value, of("1500m").milli_value) == (2, 1500)
