"""Whether a text has a key twice, quickly and never wrongly."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.codec.json import has_duplicates


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a":1,"b":2}', False),
        ('{"a":1,"a":2}', True),
        ('{"a" :1,"a":2}', True),
        ('{"a"\n:1,"a"\t:2}', True),
        ('{"a":{"b":1,"b":1}}', True),
        ('{"a":[{"b":1},{"b":1}]}', False),
        ('{"a":[[{"b":1,"b":2}]]}', True),
        ('{"a":"x\\":y","b":"\\" :"}', False),
        ('{"a":"x\\":y","a":1}', True),
        ('{"\\u0061":1,"a":2}', True),
        ('{"a":1,"a":2,"b":"\\"\\u003a"}', True),
        ('{"a":1,"a":2,"b":"\\"\\u003A"}', True),
        ('{"a":1,"a":2,"b":"\\u0022:"}', True),
        ('{"a":1,"b":"\\"\\u003a"}', False),
        ("{}", False),
    ],
)
def test_texts(text: str, found: bool) -> None:
    assert has_duplicates(orjson.loads(text), text.encode()) is found


_KEYS = st.text(alphabet='ab":\\ ', max_size=3)
_VALUES = st.recursive(
    st.integers() | _KEYS,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda v: ("list", v))
        | st.lists(st.tuples(_KEYS, inner), max_size=4).map(lambda v: ("dict", v))
    ),
    max_leaves=12,
)


def _write(value: Any, space: str) -> tuple[str, bool]:
    """The text, and whether an object in it has a key twice."""
    if not isinstance(value, tuple):
        return json.dumps(value), False
    kind, parts = value
    if kind == "list":
        inner = [_write(p, space) for p in parts]
        return "[" + ",".join(t for t, _ in inner) + "]", any(d for _, d in inner)
    pairs = [(k, *_write(v, space)) for k, v in parts]
    text = "{" + ",".join(f"{json.dumps(k)}{space}:{t}" for k, t, _ in pairs) + "}"
    keys = [k for k, _, _ in pairs]
    return text, len(keys) != len(set(keys)) or any(d for _, _, d in pairs)


@given(st.lists(st.tuples(_KEYS, _VALUES), max_size=4), st.sampled_from(["", " ", "\n\t"]))
def test_any_text(pairs: list[Any], space: str) -> None:
    text, twice = _write(("dict", pairs), space)
    # A key that is written twice in an object that a later one replaces counts as well.
    assert has_duplicates(orjson.loads(text), text.encode()) is twice
