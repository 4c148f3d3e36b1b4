"""What a patched object that is not its kind's is answered with."""

from typing import Any

import pytest

from tiphys.apiserver.verbs.patch import (
    JSON_PATCH,
    MERGE_PATCH,
    STRATEGIC,
    go_value,
    invalid_patch,
    unreadable,
)

_INTEGER = "json: cannot unmarshal string into Go struct field S.x of type int64"


@pytest.mark.parametrize(
    ("kind", "why", "wanted"),
    [
        pytest.param(JSON_PATCH, _INTEGER, ('{"a":1,"b":2}', _INTEGER), id="json-patch"),
        pytest.param(MERGE_PATCH, "w", ('{"a":1,"b":2}', "w"), id="merge-patch"),
        pytest.param(STRATEGIC, _INTEGER, ("map[p:1]", "unrecognized type: int64"), id="scalar"),
        pytest.param(
            STRATEGIC,
            "json: cannot unmarshal number into Go struct field N.status of type v1.Status",
            ("map[p:1]", "cannot restore struct from: number"),
            id="struct",
        ),
        pytest.param(
            STRATEGIC,
            "illegal base64 data at input byte 0",
            ("map[p:1]", "error decoding from json: illegal base64 data at input byte 0"),
            id="bytes",
        ),
        pytest.param(
            STRATEGIC,
            'strict decoding error: unknown field "x"',
            ("map[p:1]", 'strict decoding error: unknown field "x"'),
            id="strict",
        ),
    ],
)
def test_unreadable(kind: str, why: str, wanted: tuple[str, str]) -> None:
    document = [] if kind == JSON_PATCH else {"p": 1}
    assert unreadable(kind, document, {"b": 2, "a": 1}, "core.v1.Pod", why) == wanted


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": {"c": "x y"}, "a": [1, True]}, "map[a:[1 true] b:map[c:x y]]"),
        (None, "<nil>"),
        ({}, "map[]"),
    ],
)
def test_go_value(value: Any, text: str) -> None:
    assert go_value(value) == text


def test_the_cause_is_the_patch() -> None:
    status = invalid_patch("map[]", "w").to_status()
    assert status["message"] == ' "" is invalid: patch: Invalid value: "map[]": w'
    assert (status["code"], status["details"]["causes"][0]["field"]) == (422, "patch")
