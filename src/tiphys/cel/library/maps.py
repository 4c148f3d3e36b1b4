"""What the macros that make maps call. Upstream: cel-go ext/comprehensions.go."""

from typing import Any, Final

from tiphys.cel.declarations import Library
from tiphys.cel.errors import EvaluationError
from tiphys.cel.library.operators import shown_key

_TABLE: Final = """
cel.@mapInsert  @mapInsert_map_key_value  (map(K, V), K, V) -> map(K, V)
cel.@mapInsert  @mapInsert_map_map        (map(K, V), map(K, V)) -> map(K, V)
"""


def insert(into: dict[Any, Any], key: Any, value: Any) -> dict[Any, Any]:
    """In place: the map is the loop's own. Raises EvaluationError."""
    if not isinstance(key, (str, int)):
        raise EvaluationError("no such overload")
    if key in into:
        raise EvaluationError(f"insert failed: key {shown_key(key)} already exists")
    into[key] = value
    return into


def insert_all(into: dict[Any, Any], others: dict[Any, Any]) -> dict[Any, Any]:
    """Raises EvaluationError."""
    for key, value in others.items():
        insert(into, key, value)
    return into


LIBRARY: Final = Library(
    _TABLE, {"@mapInsert_map_key_value": insert, "@mapInsert_map_map": insert_all}
)
