"""Who has which field after writes of several. The cases are structured-merge-diff's (merge)."""

from typing import Any

import pytest

from tiphys.api.errors import Conflict
from tiphys.apiserver.field_manager.entries import ManagerKey, Managers
from tiphys.apiserver.field_manager.tracking import Scope, applied, updated
from tiphys.codec.fields.field_set import members, path_text
from tiphys.codec.fields.shape import (
    DEDUCED,
    NUMBER,
    STRING,
    ListShape,
    MapShape,
    Shape,
    StructShape,
    whole_map,
)

ITEM = StructShape(lambda: {"name": STRING, "x": NUMBER, "y": NUMBER})
KIND = StructShape(
    lambda: {
        "list": ListShape(ITEM, ("name",), {}),
        "set": ListShape(NUMBER, (), {}),
        "map": MapShape(NUMBER),
        "struct": ITEM,
        "n": NUMBER,
    }
)
Step = tuple[str, dict[str, Any]]  # The writer's first letter: u for an updater, a for an applier.


def a(**fields: Any) -> dict[str, Any]:
    return {"name": "a", **fields}


B = {"name": "b", "x": 3}
TWICE = [a(x=1), a(x=2), B]


def after(shape: Shape, steps: list[Step], *, force: bool = True) -> tuple[Any, Managers]:
    live: dict[str, Any] = {}
    managers: Managers = {}
    scope = Scope(shape, {}, varies=True)
    for time, (name, obj) in enumerate(steps):
        if name.startswith("u"):
            key = ManagerKey.of(name, "Update", "v1", "")
            managers, live = updated(scope, live, obj, managers, key, "v1", str(time)), obj
            continue
        key = ManagerKey.of(name, "Apply", "v1", "")
        found = applied(scope, live, obj, managers, key, "v1", str(time), force=force)
        managers, live = found.managers, live if found.obj is None else found.obj
    live.pop("metadata", None)
    return live, managers


def owners(managers: Managers) -> dict[str, str]:
    return {
        key.name: " ".join(path_text(path) for path in members(entry.fields))
        for key, entry in managers.items()
    }


ALL_OF_B = '.list[name="b"] .list[name="b"].name .list[name="b"].x'


@pytest.mark.parametrize(
    ("steps", "obj", "owned"),
    [
        ([("u", {"set": [1, 1, 3]})], {"set": [1, 1, 3]}, {"u": ".set .set[=1] .set[=3]"}),
        (
            [("u", {"set": [1, 3]}), ("u2", {"set": [1, 1, 3]})],
            {"set": [1, 1, 3]},
            {"u": ".set .set[=3]", "u2": ".set[=1]"},
        ),
        (
            [("u", {"set": [1, 1, 3]}), ("u2", {"set": [1, 3]})],
            {"set": [1, 3]},
            {"u": ".set .set[=3]", "u2": ".set[=1]"},
        ),
        (
            [("u", {"set": [1, 1, 3, 4]}), ("a", {"set": [1]})],
            {"set": [1, 3, 4]},
            {"u": ".set .set[=3] .set[=4]", "a": ".set[=1]"},
        ),
        (
            [("u", {"set": [1, 1, 3]}), ("a", {"set": [5]})],
            {"set": [1, 1, 3, 5]},
            {"u": ".set .set[=1] .set[=3]", "a": ".set[=5]"},
        ),
        ([("u", {"list": TWICE})], {"list": TWICE}, {"u": f'.list .list[name="a"] {ALL_OF_B}'}),
        (
            [("u", {"list": TWICE}), ("u2", {"list": [a(x=1), a(x=2, y=3), B]})],
            {"list": [a(x=1), a(x=2, y=3), B]},
            {"u": f".list {ALL_OF_B}", "u2": '.list[name="a"]'},
        ),
        (
            [("u", {"list": [a(x=1), B]}), ("u2", {"list": [a(x=1), a(y=3), B]})],
            {"list": [a(x=1), a(y=3), B]},
            {"u": f".list {ALL_OF_B}", "u2": '.list[name="a"]'},
        ),
        (
            [("u", {"list": TWICE}), ("a", {"n": 5})],
            {"list": TWICE, "n": 5},
            {"u": f'.list .list[name="a"] {ALL_OF_B}', "a": ".n"},
        ),
        (
            [("u", {"list": TWICE}), ("a", {"list": [a(x=3)]})],
            {"list": [a(x=3), B]},
            {
                "u": f".list {ALL_OF_B}",
                "a": '.list[name="a"] .list[name="a"].name .list[name="a"].x',
            },
        ),
        (
            [("a", {"list": [a(x=1), B]}), ("u", {"list": TWICE}), ("a", {"list": [B]})],
            {"list": TWICE},
            {"a": ALL_OF_B, "u": '.list[name="a"]'},
        ),
    ],
)
def test_items_of_the_same_key(steps: list[Step], obj: Any, owned: dict[str, str]) -> None:
    live, managers = after(KIND, steps)
    assert (live, owners(managers)) == (obj, owned)


@pytest.mark.parametrize("value", [2, 3], ids=["as one of them", "as none"])
def test_who_applies_one_of_several_takes_them_all(value: int) -> None:
    steps: list[Step] = [("u", {"list": TWICE}), ("a", {"list": [a(x=value)]})]
    with pytest.raises(Conflict) as refused:
        after(KIND, steps, force=False)
    assert [c.field for c in refused.value.causes] == ['.list[name="a"]']


@pytest.mark.parametrize(
    ("steps", "obj"),
    [
        ([("a", {"set": [1, 2, 3]}), ("a", {"set": [1, 3, 2]})], {"set": [1, 3, 2]}),
        (
            [("a", {"set": [1, 2, 3, 4]}), ("u", {"set": [1, 4, 3, 2]}), ("a", {"set": [1, 2]})],
            {"set": [1, 2]},
        ),
        ([("u", {"set": [1, 1, 9]}), ("a", {"set": [1, 5]})], {"set": [1, 5, 9]}),
        (
            [("u", {"set": [2, 1, 9, 8]}), ("a", {"set": [1, 5, 2]})],
            {"set": [1, 9, 8, 5, 2]},
        ),
    ],
)
def test_items_stand_as_they_are_applied(steps: list[Step], obj: Any) -> None:
    assert after(KIND, steps)[0] == obj


@pytest.mark.parametrize(
    ("shape", "steps", "obj", "owned"),
    [
        (  # What somebody else made stays, be it empty.
            KIND,
            [("u", {"struct": {"x": 1}}), ("a", {"struct": {"x": 1}}), ("a", {"n": 1})],
            {"struct": {"x": 1}, "n": 1},
            {"u": ".struct .struct.x", "a": ".n"},
        ),
        (
            KIND,
            [("u", {"map": {"k": 1}}), ("a", {"map": {"k": 2}}), ("a", {"n": 1})],
            {"map": {}, "n": 1},
            {"u": ".map", "a": ".n"},
        ),
        (  # Nothing is said of what is within.
            KIND,
            [("u", {"map": {"k": 1}}), ("a", {"map": None})],
            {"map": {"k": 1}},
            {"u": ".map .map.k", "a": ".map"},
        ),
        (
            DEDUCED,
            [("u", {"v": {"k": 1}}), ("u2", {"v": 5})],
            {"v": 5},
            {"u2": ".v"},
        ),
        (
            DEDUCED,
            [("u", {"v": 5}), ("u2", {"v": {"k": 1}})],
            {"v": {"k": 1}},
            {"u2": ".v .v.k"},
        ),
    ],
)  # fmt: skip
def test_what_is_left(shape: Shape, steps: list[Step], obj: Any, owned: dict[str, str]) -> None:
    live, managers = after(shape, steps)
    assert (live, owners(managers)) == (obj, owned)


def test_what_became_a_whole_is_owned_as_one() -> None:
    live, managers = after(KIND, [("a", {"struct": {"x": 1}, "map": {"k": 1}})])
    now = Scope(
        StructShape(lambda: {"struct": whole_map(ITEM), "map": MapShape(NUMBER)}), {}, None, True
    )
    other = ManagerKey.of("a2", "Apply", "v1", "")
    with pytest.raises(Conflict) as refused:
        applied(now, live, {"struct": {"y": 1}}, managers, other, "v1", "2", force=False)
    assert [c.field for c in refused.value.causes] == [".struct"]
    found = applied(now, live, {"struct": {"y": 1}}, managers, other, "v1", "2", force=True)
    assert owners(found.managers) == {"a": ".map.k", "a2": ".struct"}


def test_conflicts_with_several() -> None:
    steps: list[Step] = [
        ("u", {"set": [10, 10, 9, 9], "n": 1}),
        ("a", {"list": [a(x=1)]}),
        ("a2", {"set": [9, 10, 10.5], "n": 2, "list": [a(x=2)]}),
    ]
    with pytest.raises(Conflict) as refused:
        after(KIND, steps, force=False)
    told = [
        'Apply failed with 4 conflicts: conflicts with "a":',
        '- .list[name="a"].x',
        'conflicts with "u" using v1:',
        "- .n",
        "- .set[=9]",
        "- .set[=10]",
    ]
    assert refused.value.message == "\n".join(told)
