from typing import Any

import pytest

from tiphys.api.meta import Obj
from tiphys.codec.patch import PatchError
from tiphys.codec.patch.json_patch import apply


@pytest.mark.parametrize(
    ("operation", "wanted"),
    [
        ({"op": "add", "path": "/b", "value": 1}, {"a": [1, 2], "b": 1}),
        ({"op": "add", "path": "/a/-", "value": 3}, {"a": [1, 2, 3]}),
        ({"op": "add", "path": "/a/1", "value": 3}, {"a": [1, 3, 2]}),
        ({"op": "add", "path": "/a/-1", "value": 3}, {"a": [1, 2, 3]}),
        ({"op": "remove", "path": "/a/0"}, {"a": [2]}),
        ({"op": "remove", "path": "/a"}, {}),
        ({"op": "replace", "path": "/a/1", "value": "x"}, {"a": [1, "x"]}),
        ({"op": "replace", "path": "/none", "value": 1}, {"a": [1, 2], "none": 1}),
        ({"op": "copy", "from": "/none", "path": "/b"}, {"a": [1, 2], "b": None}),
        ({"op": "replace", "path": "", "value": {"c": 1}}, {"c": 1}),
        ({"op": "move", "from": "/a", "path": "/b"}, {"b": [1, 2]}),
        ({"op": "copy", "from": "/a/0", "path": "/b"}, {"a": [1, 2], "b": 1}),
        ({"op": "test", "path": "/a/0", "value": 1}, {"a": [1, 2]}),
        ({"op": "test", "path": "/none", "value": None}, {"a": [1, 2]}),
        ({"op": "add", "path": "/x~1y~0", "value": 1}, {"a": [1, 2], "x/y~": 1}),
    ],
)
def test_apply(operation: Obj, wanted: Obj) -> None:
    document = {"a": [1, 2]}
    assert apply(document, [operation]) == wanted
    assert document == {"a": [1, 2]}


@pytest.mark.parametrize(
    ("patch", "code"),
    [
        ({}, 400),
        ([1], 400),
        ([{"op": "nope", "path": "/a"}], 422),
        ([{"op": "add", "value": 1}], 422),
        ([{"op": "add", "path": "/b/c", "value": 1}], 422),
        ([{"op": "add", "path": "/a/7", "value": 1}], 422),
        ([{"op": "remove", "path": "/b"}], 422),
        ([{"op": "test", "path": "/a/0", "value": True}], 422),
        ([{"op": "test", "path": "/a", "value": [1]}], 422),
        ([{"op": "test", "path": "/a", "value": 1}] * 10_001, 413),
    ],
)
def test_refused(patch: Any, code: int) -> None:
    with pytest.raises(PatchError) as refused:
        apply({"a": [1, 2]}, patch)
    assert refused.value.code == code


def test_copies_cannot_explode() -> None:
    patch: list[Obj] = [{"op": "add", "path": "/a", "value": [1] * 100}]
    patch += [{"op": "copy", "from": "/a", "path": "/a/-"}] * 40
    with pytest.raises(PatchError) as refused:
        apply({}, patch)
    assert refused.value.code == 413
