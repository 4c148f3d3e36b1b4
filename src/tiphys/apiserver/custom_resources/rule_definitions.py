"""What is wrong with the rules of a definition's schema, and what they may cost together.

Upstream: apiextensions-apiserver pkg/apis/apiextensions/validation (validation.go,
cel_validation.go).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from tiphys.api.field_errors import FieldError, forbidden, invalid
from tiphys.api.meta import Obj
from tiphys.apiserver.custom_resources.go_schema import go_rule
from tiphys.apiserver.custom_resources.rule_compiling import (
    RULES,
    CompiledRule,
    compile_rules,
    root_type,
    type_within,
)
from tiphys.cel.amounts import AMOUNT_MAX
from tiphys.cel.schema_types import SchemaType, escaped

RULE_COST_MAX: Final = 10_000_000  # StaticEstimatedCostLimit
SCHEMA_COST_MAX: Final = 100_000_000  # StaticEstimatedCRDCostLimit
_TOLD_MAX: Final = 4  # Of the most expensive rules.
_HOW: Final = (
    " (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays,"
    " maps, and strings are declared)"
)


class ShownRule:
    """A rule as Go writes its internal form."""

    def __init__(self, rule: Obj) -> None:
        self._rule = rule

    def __str__(self) -> str:
        text = orjson.dumps(go_rule(self._rule)).decode()
        for sign in "<>&":
            text = text.replace(sign, f"\\u{ord(sign):04x}")
        return text


@dataclass(slots=True)
class _Spent:
    total: int = 0
    rules: list[tuple[int, str]] = field(default_factory=list)

    def add(self, cost: int, path: str) -> None:
        self.total = min(self.total + cost, AMOUNT_MAX)
        if cost >= SCHEMA_COST_MAX // 100:
            self.rules.append((cost, path))


@dataclass(frozen=True, slots=True)
class _Place:
    """A schema, its path, and what is known of its surroundings.

    `count_max`: how often it may be in an object, None where nothing bounds it. `own_type` is None
    where its fields' names say nothing to expressions. `uncorrelated`: the path of a list above
    whose items have no names.
    """

    schema: Obj
    path: str
    own_type: SchemaType | None
    count_max: int | None = 1
    uncorrelated: str = ""


def rule_errors(schema: Obj, path: str, schema_errors: list[FieldError]) -> list[FieldError]:
    """`schema_errors`: what else is wrong. Rules of places that are wrong are not looked at."""
    wrong = [error.path for error in schema_errors]
    spent = _Spent()
    root = _Place(schema, path, root_type(schema))
    errors = list(_place(root, wrong, spent))
    return errors + _total(spent, path)


def _total(spent: _Spent, path: str) -> list[FieldError]:
    if spent.total <= SCHEMA_COST_MAX:
        return []
    text = (
        "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
    )
    most = sorted(spent.rules, key=lambda one: -one[0])[:_TOLD_MAX]
    what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
    told = [forbidden(where, text) for _, where in most]
    return [*told, forbidden(path, _exceeds(what, spent.total, SCHEMA_COST_MAX))]


def _exceeds(what: str, cost: int, cost_max: int) -> str:
    factor = cost / cost_max
    if factor > 100:
        shown = "more than 100x"
    else:
        shown = f"{factor:.6f}x" if factor < 1.5 else f"{factor:.1f}x"
    return f"{what} exceeds budget by factor of {shown}{_HOW}"


def _place(place: _Place, wrong: list[str], spent: _Spent) -> Iterator[FieldError]:
    """What is within comes first."""
    for inner in _inner(place):
        yield from _place(inner, wrong, spent)
    if not place.schema.get(RULES) or any(path.startswith(place.path) for path in wrong):
        return
    own_type = place.own_type or type_within(place.schema)
    if own_type is None:
        text = "internal error: failed to construct type information for x-kubernetes-validations"
        text += " rules: unable to convert structural schema to CEL declarations"
        yield FieldError("InternalError", f"{place.path}.{RULES}", None, text)
        return
    found = compile_rules(place.schema, own_type)
    count = found.count_max if place.count_max is None else place.count_max
    for index, rule in enumerate(found.rules):
        yield from _rule(rule, f"{place.path}.{RULES}[{index}]", count, place.uncorrelated, spent)


def _rule(
    rule: CompiledRule, path: str, count: int, uncorrelated: str, spent: _Spent
) -> Iterator[FieldError]:
    cost = min(rule.cost * count, AMOUNT_MAX)
    if cost > RULE_COST_MAX:
        yield forbidden(f"{path}.rule", _exceeds("estimated rule cost", cost, RULE_COST_MAX))
    spent.add(cost, f"{path}.rule")
    if rule.error:
        yield invalid(f"{path}.rule", ShownRule(rule.rule), rule.error)
    if rule.message_error:
        yield invalid(f"{path}.messageExpression", ShownRule(rule.rule), rule.message_error)
    elif rule.message is not None:
        where = f"{path}.messageExpression"
        if rule.message_cost > RULE_COST_MAX:
            what = "estimated messageExpression cost"
            yield forbidden(where, _exceeds(what, rule.message_cost, RULE_COST_MAX))
        spent.add(rule.message_cost, where)
    if rule.uses_old and uncorrelated:
        text = "oldSelf cannot be used on the uncorrelatable portion of the schema within"
        yield invalid(f"{path}.rule", rule.rule["rule"], f"{text} {uncorrelated}")
    elif not rule.uses_old and rule.rule.get("optionalOldSelf") is not None:
        text = "may not be set if oldSelf is not used in rule"
        yield invalid(f"{path}.optionalOldSelf", rule.rule["optionalOldSelf"], text)


# --- the way down


def _inner(place: _Place) -> Iterator[_Place]:
    schema, own = place.schema, place.own_type
    count = _times(place.count_max, _elements(schema))
    element = own.element if own is not None else None
    others = schema.get("additionalProperties")
    if isinstance(others, dict):
        path = f"{place.path}.additionalProperties"
        yield _Place(others, path, element, count, place.uncorrelated)
    for name, inner in (schema.get("properties") or {}).items():
        key = escaped(name)
        known = own.fields.get(key) if own is not None and key is not None else None
        path = f"{place.path}.properties[{name}]"
        yield _Place(inner, path, known, count, place.uncorrelated)
    items = schema.get("items")
    if isinstance(items, dict):
        uncorrelated = place.uncorrelated
        if schema.get("x-kubernetes-list-type") != "map":
            uncorrelated = uncorrelated or place.path
        yield _Place(items, f"{place.path}.items", element, count, uncorrelated)


def _elements(schema: Obj) -> int | None:
    """How many of what is within there may be; None where nothing bounds it."""
    kind: Any = schema.get("type")
    if kind == "object" and schema.get("additionalProperties") is not None:
        most = schema.get("maxProperties")
    elif kind == "array":
        most = schema.get("maxItems")
    else:
        return 1
    return max(most, 0) if most is not None else None


def _times(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return None
    return min(one * other, AMOUNT_MAX)
