import pytest

from tiphys.api.labels import SelectorError, format_object, from_object, from_set, parse


@pytest.mark.parametrize(
    ("text", "labels", "matches"),
    [
        ("", {}, True),
        ("a=b", {"a": "b"}, True),
        ("a==b", {"a": "c"}, False),
        ("a!=b", {}, True),
        ("a in (b,c)", {"a": "c"}, True),
        ("a in (b,c),d", {"a": "c"}, False),
        ("a notin (b)", {}, True),
        ("a", {"a": ""}, True),
        ("!a", {"a": ""}, False),
        ("a>1", {"a": "2"}, True),
        ("a<1", {"a": "x"}, False),
        ("a=", {"a": ""}, True),
        ("in in (in)", {"in": "in"}, True),
    ],
)
def test_matches(text: str, labels: dict[str, str], matches: bool) -> None:
    assert parse(text).matches(labels) is matches


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("=", "found '=', expected: !, identifier, or 'end of string'"),
        ("a=b=c", "found '=', expected: ',' or 'end of string'"),
        ("a in (b c)", "unable to parse requirement: found 'c', expected: ',' or ')'"),
        ("a!b", "unable to parse requirement: found '!', expected: in, notin, =, ==, !=, gt, lt"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(SelectorError) as refused:
        parse(text)
    assert str(refused.value) == message


def test_objects() -> None:
    selector = {
        "matchLabels": {"a": "b"},
        "matchExpressions": [{"key": "c", "operator": "In", "values": ["e", "d"]}],
    }
    assert format_object(selector) == "a=b,c in (d,e)"
    assert from_object(selector).matches({"a": "b", "c": "d"})
    assert not from_object(None).matches({})
    assert from_object({}).matches({})
    assert str(from_set({"b": "1", "a": "2"})) == "a=2,b=1"
