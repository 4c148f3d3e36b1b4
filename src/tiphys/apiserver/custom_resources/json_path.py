"""The part of JSONPath that columns and fields of CustomResourceDefinitions are written in.

`.spec.a`, `.metadata.labels['x.y/z']`, `.a[0]`, `.a[-1]`, `.a[1:3]`, `.a[*].b`, `.a.*`, `..b`,
`.conditions[?(@.type=="Ready")].status`.
Upstream: client-go util/jsonpath.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final

import orjson

Step = Callable[[Any], Iterable[Any]]
_NAME: Final = re.compile(r"\.((?:[^.\[\]\\]|\\.)+)")
_QUOTED: Final = re.compile(r"\[(?:'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\")\]")
_INDEX: Final = re.compile(r"\[(-?\d+)\]")
_SLICE: Final = re.compile(r"\[(-?\d*):(-?\d*)(?::(-?\d*))?\]")
_ALL: Final = re.compile(r"\[\*\]|\.\*")
_FILTER: Final = re.compile(
    r"\[\?\(\s*@((?:\.[\w-]+|\[[^\]]*\])*)\s*(?:(==|!=|<=|>=|<|>)\s*(.+?)\s*)?\)\]"
)
_ESCAPED: Final = re.compile(r"\\(.)")


class BadPath(ValueError):
    """No path that we can follow."""


@lru_cache(maxsize=1024)
def parse(text: str) -> tuple[Step, ...]:
    """Raises BadPath."""
    text = text.removeprefix("$")
    steps: list[Step] = []
    at = 0
    while at < len(text):
        end, step = _step(text, at)
        steps.append(step)
        at = end
    return tuple(steps)


def find(steps: tuple[Step, ...], obj: Any) -> list[Any]:
    """What the path leads to; nothing where a field is missing."""
    values = [obj]
    for step in steps:
        values = [inner for value in values for inner in step(value)]
    return values


def _step(text: str, at: int) -> tuple[int, Step]:
    if text.startswith("..", at):
        found = _NAME.match(text, at + 1)
        if found is None:
            raise BadPath(f"nothing behind .. in {text}")
        return found.end(), _deep(_ESCAPED.sub(r"\1", found[1]))
    for pattern, make in _STEPS:
        found = pattern.match(text, at)
        if found is not None:
            return found.end(), make(found)
    raise BadPath(f"unexpected {text[at:]!r} in {text}")


def _field(name: str) -> Step:
    return lambda value: [value[name]] if isinstance(value, dict) and name in value else []


def _deep(name: str) -> Step:
    def step(value: Any) -> list[Any]:
        found = []
        if isinstance(value, dict):
            found += [value[name]] if name in value else []
            for inner in value.values():
                found += step(inner)
        elif isinstance(value, list):
            for inner in value:
                found += step(inner)
        return found

    return step


def _index(number: int) -> Step:
    def step(value: Any) -> list[Any]:
        fits = isinstance(value, list) and -len(value) <= number < len(value)
        return [value[number]] if fits else []

    return step


def _slice(found: re.Match[str]) -> Step:
    first, last, by = (int(part) if part else None for part in found.groups())
    part = slice(first, last, by or None)
    return lambda value: value[part] if isinstance(value, list) else []


def _everything(found: re.Match[str]) -> Step:
    def step(value: Any) -> list[Any]:
        if isinstance(value, dict):
            return list(value.values())
        return value if isinstance(value, list) else []

    return step


_COMPARES: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": lambda a, b: bool(a == b),
    "!=": lambda a, b: bool(a != b),
    "<": lambda a, b: bool(a < b),
    "<=": lambda a, b: bool(a <= b),
    ">": lambda a, b: bool(a > b),
    ">=": lambda a, b: bool(a >= b),
}


def _filter(found: re.Match[str]) -> Step:
    path = parse(found[1])
    wanted = _literal(found[3]) if found[2] else None
    compare = _COMPARES[found[2]] if found[2] else None

    def holds(item: Any) -> bool:
        values = find(path, item)
        if compare is None:
            return bool(values)
        try:
            return any(compare(value, wanted) for value in values)
        except TypeError:  # Things that have no order.
            return False

    return lambda value: [v for v in value if holds(v)] if isinstance(value, list) else []


def _literal(text: str) -> Any:
    if text[:1] == "'" and text[-1:] == "'":
        return text[1:-1]
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise BadPath(f"no value: {text}") from None


_STEPS: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Step]], ...]] = (
    (_ALL, _everything),
    (_NAME, lambda found: _field(_ESCAPED.sub(r"\1", found[1]))),
    (_QUOTED, lambda found: _field(_ESCAPED.sub(r"\1", found[1] or found[2] or ""))),
    (_INDEX, lambda found: _index(int(found[1]))),
    (_SLICE, _slice),
    (_FILTER, _filter),
)
