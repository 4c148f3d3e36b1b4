"""Tables as nft prints them, compared part by part."""

import pytest

from tiphys.cluster.netcheck.checks.rules import any_order
from tiphys.cluster.netcheck.nft_text import Table, differences, parse, told

LISTED = """table ip kube-proxy {
\tmap affinity {
\t\ttypeof ip saddr : ip daddr
\t\telements = { 10.0.0.1 : 10.0.0.2 }
\t}

\tmap services {
\t\ttype inet_proto . ipv4_addr . inet_service : verdict
\t\telements = { tcp . 10.96.0.1 . 443 : goto service-1,
\t\t\t     udp . 10.96.0.7 . 53 : goto service-2 }
\t}

\tset empty {
\t\ttype ipv4_addr
\t}

\tchain nat {
\t\ttype nat hook output priority -100; policy accept;
\t\tjump services
\t}
}
"""


def test_parts() -> None:
    assert parse(LISTED, {"affinity"}) == Table(
        {"nat": ("type nat hook output priority -100; policy accept;", "jump services")},
        {
            "affinity": frozenset(),
            "services": frozenset(
                {"tcp . 10.96.0.1 . 443 : goto service-1", "udp . 10.96.0.7 . 53 : goto service-2"}
            ),
            "empty": frozenset(),
        },
    )


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        pytest.param("", "", [], id="same"),
        pytest.param(
            "\t\tjump services\n", "", ["the chain nat lacks the rule `jump services`"], id="rule"
        ),
        pytest.param(
            "jump services",
            "jump services\n\t\tdrop",
            ["the chain nat has a rule that is not ours: `drop`"],
            id="strange-rule",
        ),
        pytest.param(
            "tcp . 10.96.0.1 . 443 : goto service-1,\n\t\t\t     ",
            "",
            ["the set services lacks the element `tcp . 10.96.0.1 . 443 : goto service-1`"],
            id="element",
        ),
        pytest.param("set empty", "set other", ["the set empty is missing"], id="set"),
        pytest.param("chain nat", "chain x", ["the chain nat is missing"], id="chain"),
    ],
)
def test_differences(old: str, new: str, words: list[str]) -> None:
    found = differences(parse(LISTED), parse(LISTED.replace(old, new) if old else LISTED))
    assert found[: len(words)] == words
    assert bool(found) is bool(words)


def test_order_of_rules_counts() -> None:
    one, other = Table({"c": ("a", "b")}), Table({"c": ("b", "a")})
    assert differences(one, other) == ["the chain c has its rules in another order or number"]


def test_order_of_endpoints_does_not() -> None:
    key = "tcp . 10.96.0.1 . 443"
    one = Table({}, {"endpoints": frozenset({f"{key} . 0 : a . 1", f"{key} . 1 : b . 1"})})
    other = Table({}, {"endpoints": frozenset({f"{key} . 0 : b . 1", f"{key} . 1 : a . 1"})})
    assert differences(one, other)
    assert any_order(one, masked=False).sets == any_order(other, masked=False).sets
    elsewhere = Table({}, {"endpoints": frozenset({f"{key} . 0 : a . 9", f"{key} . 1 : b . 9"})})
    assert any_order(one, masked=True).sets == any_order(elsewhere, masked=True).sets


def test_many_differences_are_counted() -> None:
    assert told([str(n) for n in range(7)]) == "0; 1; 2; 3; 4; and 2 more differences"
