import pytest

from tiphys.api.fields import FieldSelectorError, parse


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("metadata.name=a", True),
        ("metadata.name!=a", False),
        ("metadata.name==a,status.phase!=Running", True),
        (r"metadata.name=a\,b", False),
        ("other=", True),
    ],
)
def test_matches(text: str, matches: bool) -> None:
    assert parse(text).matches({"metadata.name": "a"}) is matches


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a", "invalid selector: 'a'; can't understand 'a'"),
        ("a=b\\x", "invalid field selector: invalid escape sequence: \\x"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(FieldSelectorError) as refused:
        parse(text)
    assert str(refused.value) == message
