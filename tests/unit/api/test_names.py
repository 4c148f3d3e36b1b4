import pytest

from tiphys.api import names


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (names.dns_label, "a-1", "a.b"),
        (names.dns_subdomain, "a.b", "A"),
        (names.dns1035_label, "a1", "1a"),
        (names.qualified_name, "example.com/My_name", "a/b/c"),
        (names.label_value, "", "-a"),
        (names.port_name, "http", "80"),
        (names.config_map_key, "a.B_c", "../a"),
        (names.env_var_name, "1 a", "a=b"),
        (names.wildcard_dns_subdomain, "*.a", "a"),
        (names.percent, "10%", "10"),
        (names.http_header_name, "X-A", "X A"),
    ],
)
def test_good_and_bad(check: object, good: str, bad: str) -> None:
    assert callable(check)
    assert check(good) == []
    assert check(bad) != []


def test_texts_are_upstreams() -> None:
    assert names.dns_label("a.b") == ["must not contain dots"]
    assert names.qualified_name("/a") == ["prefix part must be non-empty"]
    assert names.name_is_dns_label("ab-", True) == []
    assert names.label_value("x" * 64) == ["must be no more than 63 bytes"]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("80", 80),
        ("65535", 65535),
        ("0080", 80),
        *[(bad, None) for bad in ("", "0", "65536", "-1", "+1", " 1", "1_0", "²", "٣", "9" * 5000)],
    ],
)
def test_a_port_is_decimal_ascii_digits(text: str, number: int | None) -> None:
    assert names.port_of(text) == number
