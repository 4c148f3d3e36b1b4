"""What matches a pattern. Upstream: apiserver/pkg/cel/library/regex.go."""

from typing import Final

from tiphys.cel import patterns
from tiphys.cel.declarations import Library
from tiphys.cel.errors import EvaluationError

_TABLE: Final = """
find     string_find_string          string.(string) -> string
findAll  string_find_all_string      string.(string) -> list(string)
findAll  string_find_all_string_int  string.(string, int) -> list(string)
"""


def _compiled(pattern: str) -> patterns.Pattern:
    try:
        return patterns.compiled(pattern)
    except patterns.BadPattern as error:
        raise EvaluationError(f"Illegal regex: {error}") from None


def _find(text: str, pattern: str) -> str:
    return _compiled(pattern).first(text)


def _find_all(text: str, pattern: str, count: int = -1) -> list[str]:
    return _compiled(pattern).all(text, count)


LIBRARY: Final = Library(
    _TABLE,
    {
        "string_find_string": _find,
        "string_find_all_string": _find_all,
        "string_find_all_string_int": _find_all,
    },
)
