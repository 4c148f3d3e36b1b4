"""Functions that expressions may call: their signatures, written as tables.

A line of a table: the function's name, the overload's identifier, its signature.

    startsWith   starts_with_string   string.(string) -> bool
    size         size_string          (string) -> int

Identifiers are upstream's: costs are told of by them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from tiphys.cel import types
from tiphys.cel.types import Type

Implementation = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Overload:
    id: str
    is_member: bool
    args: tuple[Type, ...]  # With the target first, where there is one.
    result: Type
    params: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Function:
    name: str
    overloads: tuple[Overload, ...]


@dataclass(frozen=True, slots=True)
class Library:
    """Functions of one subject: a table, an implementation for each line, and types' names."""

    table: str
    implementations: Mapping[str, Implementation]
    types: Mapping[str, Type] = field(default_factory=dict)


_NO_PARAMS: Final[tuple[str, ...]] = ()


@lru_cache(maxsize=64)
def functions(table: str) -> dict[str, tuple[Overload, ...]]:
    """The overloads of each function of a table, in its order."""
    found: dict[str, list[Overload]] = {}
    for line in table.strip().splitlines():
        if line.strip():
            name, identifier, signature = line.split(None, 2)
            found.setdefault(name, []).append(_overload(identifier, signature))
    return {name: tuple(overloads) for name, overloads in found.items()}


def _overload(identifier: str, signature: str) -> Overload:
    args_text, _, result_text = signature.rpartition("->")
    args_text = args_text.strip()
    target, dot, rest = args_text.partition(".(") if not args_text.startswith("(") else ("", "", "")
    if not args_text.startswith("(") and not dot:
        raise ValueError(f"not a signature: {signature}")
    inner = rest[:-1] if dot else args_text[1:-1]
    args = [types.parsed(one) for one in types.split_types(inner)]
    if dot:
        args.insert(0, types.parsed(target))
    result = types.parsed(result_text)
    params = tuple(sorted({name for one in (*args, result) for name in _params(one)}))
    return Overload(identifier, bool(dot), tuple(args), result, params)


def _params(one: Type) -> Iterable[str]:
    if one.kind == types.PARAM_KIND:
        yield one.name
    for inner in one.params:
        yield from _params(inner)
