"""Strings, version 2. Upstream: cel-go ext/strings.go."""

from typing import Any, Final

from tiphys.cel.declarations import Library
from tiphys.cel.errors import EvaluationError
from tiphys.cel.library.conversions import shown_double
from tiphys.cel.library.string_format import formatted

_TABLE: Final = """
charAt       string_char_at_int       string.(int) -> string
indexOf      string_index_of_string       string.(string) -> int
indexOf      string_index_of_string_int   string.(string, int) -> int
lastIndexOf  string_last_index_of_string      string.(string) -> int
lastIndexOf  string_last_index_of_string_int  string.(string, int) -> int
lowerAscii   string_lower_ascii       string.() -> string
replace      string_replace_string_string      string.(string, string) -> string
replace      string_replace_string_string_int  string.(string, string, int) -> string
split        string_split_string      string.(string) -> list(string)
split        string_split_string_int  string.(string, int) -> list(string)
substring    string_substring_int      string.(int) -> string
substring    string_substring_int_int  string.(int, int) -> string
trim         string_trim              string.() -> string
upperAscii   string_upper_ascii       string.() -> string
format       string_format            string.(list(dyn)) -> string
strings.quote  strings_quote          (string) -> string
join         list_join                list(string).() -> string
join         list_join_string         list(string).(string) -> string
"""
_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_UPPER: Final = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}
# Go's unicode.IsSpace; Python's strip would take the separators 1C to 1F too.
_SPACES: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
_QUOTED: Final = str.maketrans({
    "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v",
    "\\": "\\\\", '"': '\\"',
})  # fmt: skip


def _out_of_range(index: int) -> EvaluationError:
    return EvaluationError(f"index out of range: {index}")


def _char_at(text: str, index: int) -> str:
    if not 0 <= index <= len(text):
        raise _out_of_range(index)
    return text[index : index + 1]


def _index_of(text: str, part: str, offset: int = 0) -> int:
    if offset < 0:
        raise _out_of_range(offset)
    if not part:
        return min(offset, len(text))
    return text.find(part, offset)


def _last_index_of(text: str, part: str) -> int:
    return text.rfind(part)


def _last_index_from(text: str, part: str, offset: int) -> int:
    if offset < 0:
        raise _out_of_range(offset)
    if not part:
        return min(offset, len(text))
    if offset >= len(text):
        return -1
    return text.rfind(part, 0, offset + len(part))


def _replace(text: str, old: str, new: str, count: int = -1) -> str:
    return text.replace(old, new, max(count, -1))


def _split(text: str, separator: str, count: int = -1) -> list[str]:
    if count == 0:
        return []
    if separator:
        return text.split(separator, count - 1 if count > 0 else -1)
    chars = list(text)
    if 0 < count < len(chars):
        return [*chars[: count - 1], text[count - 1 :]]
    return chars


def _substring(text: str, start: int) -> str:
    if not 0 <= start <= len(text):
        raise _out_of_range(start)
    return text[start:]


def _substring_range(text: str, start: int, end: int) -> str:
    if start > end:
        raise EvaluationError(f"invalid substring range. start: {start}, end: {end}")
    if not 0 <= start <= len(text):
        raise _out_of_range(start)
    if end > len(text):
        raise _out_of_range(end)
    return text[start:end]


def quoted(text: str) -> str:
    return f'"{text.translate(_QUOTED)}"'


def _join(values: list[Any], separator: str = "") -> str:
    for value in values:
        if type(value) is not str:
            shown = shown_double(value) if type(value) is float else str(value)
            raise EvaluationError(f"join: invalid input: {shown}")
    return separator.join(values)


LIBRARY: Final = Library(
    _TABLE,
    {
        "string_char_at_int": _char_at,
        "string_index_of_string": _index_of,
        "string_index_of_string_int": _index_of,
        "string_last_index_of_string": _last_index_of,
        "string_last_index_of_string_int": _last_index_from,
        "string_lower_ascii": lambda text: text.translate(_LOWER),
        "string_replace_string_string": _replace,
        "string_replace_string_string_int": _replace,
        "string_split_string": _split,
        "string_split_string_int": _split,
        "string_substring_int": _substring,
        "string_substring_int_int": _substring_range,
        "string_trim": lambda text: text.strip(_SPACES),
        "string_upper_ascii": lambda text: text.translate(_UPPER),
        "string_format": formatted,
        "strings_quote": quoted,
        "list_join": _join,
        "list_join_string": _join,
    },
)
