"""`"%s".format([..])`. Upstream: cel-go ext/formatting.go (the version before 4)."""

import math
from collections.abc import Callable
from typing import Any, Final

import orjson

from tiphys.cel.errors import EvaluationError
from tiphys.cel.library.conversions import shown_double
from tiphys.cel.library.times import shown_duration, shown_timestamp
from tiphys.cel.types import Type
from tiphys.cel.values import Duration, Timestamp, Uint, type_name, type_of

_DEFAULT_PLACES: Final = 6
PLACES_MAX: Final = 1000  # Ours: what a text of digits may make us build.
_SUPERSCRIPTS: Final = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_SPECIAL: Final = ("NaN", "Infinity", "-Infinity")
_WRONG: Final = {
    "b": "only integers and bools can be formatted as binary",
    "d": "decimal clause can only be used on integers",
    "e": "scientific clause can only be used on doubles",
    "f": "fixed-point clause can only be used on doubles",
    "o": "octal clause can only be used on integers",
    "s": "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists,"
    " types, durations, and timestamps",
    "x": "only integers, byte buffers, and strings can be formatted as hex",
}
# What may stand for a clause, by types' names: what is checked before anything is evaluated.
FITTING: Final[dict[str, tuple[str, ...]]] = {
    "b": ("int", "uint", "bool"),
    "d": ("int", "uint"),
    "e": ("double", "string"),
    "f": ("double", "string"),
    "o": ("int", "uint"),
    "s": (
        *("list", "map", "int", "uint", "double", "bool", "string", "timestamp", "bytes"),
        *("duration", "type", "null"),
    ),
    "x": ("int", "uint", "bytes", "string"),
}


def formatted(text: str, args: list[Any]) -> str:
    """Raises EvaluationError."""
    made: list[str] = []

    def take(index: int, letter: str, places: int | None) -> None:
        try:
            made.append(_clause(letter, args[index], places))
        except EvaluationError as error:
            raise EvaluationError(f"error during formatting: {error}") from None

    walk(text, len(args), take, made.append)
    return "".join(made)


def wrong_type(letter: str, name: str) -> str:
    return f"{_WRONG[letter.lower()]}, was given {name}"


def walk(
    text: str,
    count: int,
    take: Callable[[int, str, int | None], None],
    keep: Callable[[str], None],
) -> int:
    """Calls `take` with each clause and `keep` with the rest: how many clauses there are.

    Raises EvaluationError.
    """
    at, index = 0, 0
    while True:
        sign = text.find("%", at)
        if sign < 0:
            keep(text[at:])
            return index
        keep(text[at:sign])
        if text.startswith("%%", sign):
            keep("%")
            at = sign + 2
            continue
        if index >= count:
            raise EvaluationError(f"index {index} out of range")
        if sign + 1 >= len(text):
            raise EvaluationError("unexpected end of string")
        at, letter, places = _parsed(text, sign + 1)
        take(index, letter, places)
        index += 1


def _parsed(text: str, at: int) -> tuple[int, str, int | None]:
    """(where the clause ends, its letter, its precision). Raises EvaluationError."""
    places = None
    why = "could not parse formatting clause: "
    if text[at] == ".":
        end = at + 1
        while end < len(text) and text[end] in "0123456789":
            end += 1
        problem = "error while parsing precision: "
        if end >= len(text):
            raise EvaluationError(f"{why}{problem}could not find end of precision specifier")
        digits = text[at + 1 : end]
        if not digits or len(digits) > 18 or int(digits) > PLACES_MAX:
            shown = orjson.dumps(digits).decode()
            problem += "error while converting precision to integer: strconv.Atoi: parsing "
            raise EvaluationError(f"{why}{problem}{shown}: invalid syntax")
        places, at = int(digits), end
    letter = text[at]
    if letter not in "sdfebxXo":
        raise EvaluationError(f'{why}unrecognized formatting clause "{letter}"')
    return at + 1, letter, places


def _clause(letter: str, value: Any, places: int | None) -> str:
    match letter:
        case "s":
            return shown(value)
        case "d" if type(value) in (int, Uint):
            return str(int(value))
        case "f" | "e" if type(value) is float or value in _SPECIAL:
            number = value if type(value) is float else float(value.lower().replace("inity", ""))
            return _float(letter, number, _DEFAULT_PLACES if places is None else places)
        case "b" if type(value) in (int, Uint, bool):
            return format(int(value), "b")
        case "o" if type(value) in (int, Uint):
            return format(int(value), "o")
        case "x" | "X" if type(value) in (int, Uint, bytes, str):
            return _hex(letter, value)
        case _:
            raise EvaluationError(wrong_type(letter, type_name(type_of(value))))


def _float(letter: str, value: float, places: int) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if letter == "f":
        return f"{value:,.{places}f}"
    mantissa, _, exponent = f"{value:.{places}e}".partition("e")
    sign = "-" if exponent.startswith("-") else ""
    power = (sign + exponent.lstrip("+-").zfill(2)).translate(_SUPERSCRIPTS)
    return f"{mantissa}\u202f\u00d7\u202f10{power}"


def _hex(letter: str, value: Any) -> str:
    if isinstance(value, (str, bytes)):
        text = (value.encode() if isinstance(value, str) else value).hex()
    else:
        text = format(int(value), "x")
    return text.upper() if letter == "X" else text


def shown(value: Any) -> str:
    """As %s writes it. Raises EvaluationError."""
    if isinstance(value, list):
        return f"[{', '.join(_inner(one) for one in value)}]"
    if isinstance(value, dict):
        pairs = sorted((_inner_key(key), _inner(one)) for key, one in value.items())
        return "{" + ", ".join(f"{key}:{one}" for key, one in pairs) + "}"
    return _plain(value)


def _plain(value: Any) -> str:
    kind = type(value)
    if kind is str:
        return str(value)
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    if kind in (int, Uint):
        return str(int(value))
    if kind is float:
        return shown_double(value)
    if kind is bytes:
        return bytes(value).decode(errors="replace")
    if kind is Timestamp:
        return shown_timestamp(value)
    if kind is Duration:
        return shown_duration(value)
    if kind is Type:
        return type_name(value)
    raise EvaluationError(wrong_type("s", type_name(type_of(value))))


def _inner(value: Any) -> str:
    """Within a list or a map, as an expression would write it."""
    text = shown(value)
    if type(value) is str:
        return orjson.dumps(text).decode()
    if type(value) is bytes:
        return f"b{orjson.dumps(text).decode()}"
    if type(value) is Timestamp:
        return f'timestamp("{text}")'
    if type(value) is Duration:
        return f'duration("{text}")'
    if type(value) is float:
        return f'"{text}"' if not math.isfinite(value) else f"{value:,.6f}"
    return text


def _inner_key(key: Any) -> str:
    if type(key) is str:
        return orjson.dumps(key).decode()
    return _plain(key)
