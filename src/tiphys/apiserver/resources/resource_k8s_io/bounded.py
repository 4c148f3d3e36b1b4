"""Lists and maps of bounded size. Upstream: pkg/apis/resource/validation (validateSlice, ...)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tiphys.api.field_errors import FieldError, duplicate, too_many

Rule = Callable[[Any, str], list[FieldError]]


def each_of(items: Sequence[Any], count_max: int, rule: Rule, path: str) -> list[FieldError]:
    """What is wrong with the items; of too many nothing but that is told."""
    if len(items) > count_max:
        return [too_many(path, len(items), count_max)]
    return [error for i, item in enumerate(items) for error in rule(item, f"{path}[{i}]")]


def unique_of(
    items: Sequence[Any], count_max: int, rule: Rule, key: Callable[[Any], Any], path: str
) -> list[FieldError]:
    """As each_of, then the items whose key an earlier one has."""
    errors = each_of(items, count_max, rule, path)
    if len(items) > count_max:
        return errors
    seen: set[Any] = set()
    for index, item in enumerate(items):
        if key(item) in seen:
            errors.append(duplicate(f"{path}[{index}]", key(item)))
        seen.add(key(item))
    return errors


def itself(item: Any) -> Any:
    """The key of items that are their own."""
    return item


def each_entry(
    entries: Mapping[str, Any], key_rule: Rule, rule: Rule, path: str, key_bytes_max: int
) -> list[FieldError]:
    """Names are told at the map, what is wrong with a value at its name, which may be shortened."""
    errors: list[FieldError] = []
    for name in sorted(entries):
        errors += key_rule(name, path)
        errors += rule(entries[name], f"{path}[{_shortened(name, key_bytes_max)}]")
    return errors


def _shortened(name: str, count_max: int) -> str:
    if len(name) <= count_max:
        return name
    rest = count_max - len("...")
    return f"{name[: (rest + 1) // 2]}...{name[len(name) - rest // 2 :]}"
