from typing import Any

import pytest

from tiphys.codec.patch import PatchError
from tiphys.codec.patch.merge import apply


@pytest.mark.parametrize(
    ("document", "patch", "wanted"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": "foo"}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ],
)
def test_examples_of_rfc_7386(document: Any, patch: Any, wanted: Any) -> None:
    assert apply(document, patch) == wanted


def test_a_patch_is_an_object() -> None:
    with pytest.raises(PatchError):
        apply({}, ["a"])
