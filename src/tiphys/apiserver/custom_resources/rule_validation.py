"""Objects against the rules of their schema.

What fails and was as it is now is a warning only: a rule that came later does not stop other
changes (KEP-4008). Rules that speak of the old value are asked where there is one.
Upstream: apiextensions-apiserver pkg/apiserver/schema/cel/validation.go.
"""

import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from tiphys.api.field_errors import OMITTED, FieldError, duplicate, forbidden, invalid, required
from tiphys.api.meta import Obj
from tiphys.apiserver.custom_resources.rule_compiling import (
    RULES,
    CompiledRule,
    compile_rules,
    root_type,
    type_within,
)
from tiphys.cel import costs
from tiphys.cel.errors import CostLimitExceeded, EvaluationError
from tiphys.cel.schema_types import EMBEDDED, SchemaType, escaped
from tiphys.cel.schema_values import Convert, converter
from tiphys.cel.values import NONE, Optional, equal

MESSAGE_BYTES_MAX: Final = 5 * 1024  # MaxEvaluatedMessageExpressionSizeBytes
_NO_PATH: Final = "<nil>"
_NO_BUDGET: Final = (
    "validation failed due to running out of cost budget, no further validation rules will be run"
)
_FIELD_PATH: Final = re.compile(r"\.([^.\[\]]+)|\['((?:[^'\\]|\\.)*)'\]")


class _Stop(Exception):
    """No further rule is asked; what is wrong was noted."""


@dataclass(slots=True)
class Findings:
    errors: list[FieldError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    budget: int = costs.REQUEST_LIMIT


@dataclass(frozen=True, slots=True)
class _Match:
    """A value and what it was before, to see whether it changed. `parent`: the same, above."""

    new: Any
    old: Any
    is_known: bool
    parent: "_Match | None" = None

    def is_same(self) -> bool:
        at: _Match | None = self
        if not self.is_known:
            at = self.parent
        return at is not None and at.is_known and equal(at.new, at.old)


_UNKNOWN: Final = _Match(None, None, False)


class RuleValidator:
    """All rules of a schema: of a whole resource, or of a part of it."""

    def __init__(self, schema: Obj, *, is_root: bool = True) -> None:
        own = root_type(schema) if is_root else type_within(schema)
        self._root = _node(schema, own, is_root=is_root) if own is not None else None

    def check(self, new: Any, old: Any, path: str = "") -> Findings:
        """path: where the value stands."""
        found = Findings()
        if self._root is None:
            return found
        match = _Match(new, old, True) if old is not None else _UNKNOWN
        with suppress(_Stop):
            self._root.check(new, old, path, match, found)
        return found


class _Node:
    """A place that has rules, or places within that have."""

    def __init__(self, schema: Obj, rules: tuple[CompiledRule, ...], *, is_root: bool) -> None:
        self.kind = schema.get("type") or ""
        self.keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
        self.rules = rules
        self.convert: Convert | None = converter(_with_metadata(schema) if is_root else schema)
        self.fields: dict[str, _Node] = {}
        self.values: _Node | None = None
        self.items: _Node | None = None
        self.uses_old = any(rule.uses_old for rule in rules)

    # --- rules of this place

    def check(self, new: Any, old: Any, path: str, match: _Match, found: Findings) -> None:
        """Raises _Stop."""
        if new is None:
            return
        if self.rules:
            self._ask(new, old, path, match, found)
        if isinstance(new, dict):
            self._map(new, old if isinstance(old, dict) else {}, path, match, found)
        elif isinstance(new, list) and self.items is not None:
            self._list(new, old if isinstance(old, list) else [], path, match, found)

    def _ask(self, new: Any, old: Any, path: str, match: _Match, found: Findings) -> None:
        where = path or _NO_PATH
        if found.budget <= 0:
            found.errors.append(invalid(where, self.kind, _NO_BUDGET))
            raise _Stop
        try:
            current = self._converted(new)
            before = self._converted(old) if self.uses_old and old is not None else None
        except EvaluationError as error:
            found.errors.append(invalid(where, self.kind, str(error)))
            return
        for rule in self.rules:
            if rule.error:
                text = f"rule compile error: {rule.error}"
                found.errors.append(invalid(where, self.kind, text))
            elif rule.program is not None:
                self._one(rule, new, _variables(rule, current, before), path, match, found)

    def _converted(self, value: Any) -> Any:
        return value if self.convert is None else self.convert(value)

    def _one(
        self,
        rule: CompiledRule,
        new: Any,
        variables: dict[str, Any] | None,
        path: str,
        match: _Match,
        found: Findings,
    ) -> None:
        if variables is None or rule.program is None:
            return
        where = path or _NO_PATH
        outcome = rule.program.run(variables)
        if outcome.cost > found.budget:
            found.errors.append(invalid(where, self.kind, _NO_BUDGET))
            raise _Stop
        found.budget -= outcome.cost
        if outcome.error is not None:
            found.errors.append(invalid(where, self.kind, _told(outcome.error, rule.rule)))
            if isinstance(outcome.error, CostLimitExceeded):
                raise _Stop
        elif outcome.value is not True:
            self._fail(rule, new, variables, path, match, found)

    def _fail(
        self,
        rule: CompiledRule,
        new: Any,
        variables: dict[str, Any],
        path: str,
        match: _Match,
        found: Findings,
    ) -> None:
        where = _below(path, rule.rule.get("fieldPath") or "") or _NO_PATH
        detail, problem = _message(rule, variables, found)
        if problem:
            error = invalid(where, self.kind, problem)
        else:
            shown = OMITTED if self.kind in ("object", "array") else new
            error = _error(where, shown, detail, rule.rule.get("reason"))
        if not rule.uses_old and match.is_same():
            found.warnings.append(str(error))
        else:
            found.errors.append(error)
        if problem:
            raise _Stop

    # --- what is within

    def _map(self, new: Obj, old: Obj, path: str, match: _Match, found: Findings) -> None:
        for key, value in new.items():
            inner = self.fields.get(key)
            where = f"{path}.{key}" if path else key
            if inner is None:
                inner, where = self.values, f"{path}[{key}]"
            if inner is not None:
                below = _key(match, key, is_top=not path)
                inner.check(value, old.get(key), where, below, found)

    def _list(
        self, new: list[Any], old: list[Any], path: str, match: _Match, found: Findings
    ) -> None:
        assert self.items is not None
        named = {self._name(item): item for item in old} if self.keys else {}
        for index, item in enumerate(new):
            name = self._name(item) if self.keys else None
            before = named.get(name) if name is not None else None
            below = match
            if match.is_known:
                below = _Match(item, before, name in named, match)
            self.items.check(item, before, f"{path}[{index}]", below, found)

    def _name(self, item: Any) -> tuple[Any, ...] | None:
        if not isinstance(item, dict):
            return None
        return tuple(str(item.get(key)) for key in self.keys)


def _key(match: _Match, key: str, *, is_top: bool) -> _Match:
    if not match.is_known:
        return match
    if is_top and key in ("apiVersion", "kind"):  # Both are converted before they get here.
        return _UNKNOWN
    old = match.old if isinstance(match.old, dict) else {}
    return _Match(match.new.get(key), old.get(key), key in old, match)


def _variables(rule: CompiledRule, current: Any, before: Any) -> dict[str, Any] | None:
    """None where the rule is not asked, as there is nothing to compare with."""
    if not rule.uses_old:
        return {"self": current}
    if rule.rule.get("optionalOldSelf"):
        return {"self": current, "oldSelf": NONE if before is None else Optional(before)}
    return None if before is None else {"self": current, "oldSelf": before}


def _told(error: EvaluationError, rule: Obj) -> str:
    name = (rule.get("message") or rule["rule"]).strip()
    text = str(error)
    if text.startswith("no such overload"):
        why = "call arguments did not match a supported operator, function or macro signature"
        return f"'{text}': {why} for rule: {name}"
    if isinstance(error, CostLimitExceeded):
        why = "no further validation rules will be run due to call cost exceeds limit for rule"
        return f"'{text}': {why}: {name}"
    return f"{text} evaluating rule: {name}"


def _message(rule: CompiledRule, variables: dict[str, Any], found: Findings) -> tuple[str, str]:
    """(what to say, why nothing further may be asked)."""
    default = (rule.rule.get("message") or "").strip()
    default = default or f"failed rule: {rule.rule['rule'].strip()}"
    if rule.message is None:
        return default, ""
    outcome = rule.message.run(variables)
    if outcome.cost > found.budget:
        return "", (
            "messageExpression evaluation failed due to running out of cost budget, no further"
            " validation rules will be run"
        )
    if isinstance(outcome.error, CostLimitExceeded):
        text = "no further validation rules will be run due to call cost exceeds limit for"
        return "", f'{text} messageExpression: "{rule.rule["messageExpression"]}"'
    found.budget -= outcome.cost
    made = outcome.value.strip() if isinstance(outcome.value, str) else ""
    if not made or "\n" in made or len(made.encode()) > MESSAGE_BYTES_MAX:
        return default, ""
    return made, ""


def _error(path: str, value: Any, detail: str, reason: str | None) -> FieldError:
    match reason:
        case "FieldValueForbidden":
            return forbidden(path, detail)
        case "FieldValueRequired":
            return required(path, detail)
        case "FieldValueDuplicate":
            return duplicate(path, value)
        case _:
            return invalid(path, value, detail)


def _below(path: str, field_path: str) -> str:
    """A rule may say that a field within is wrong."""
    if not field_path:
        return path
    names = [
        f".{dotted}" if dotted else f".{quoted}"
        for dotted, quoted in _FIELD_PATH.findall(field_path)
    ]
    return f"{path}{''.join(names)}".removeprefix(".")


def _with_metadata(schema: Obj) -> Obj:
    """Of a resource's metadata only names are seen, whatever the schema says."""
    properties = dict(schema.get("properties") or {})
    for name in ("kind", "apiVersion", "metadata"):
        properties.pop(name, None)
    return {**schema, "properties": properties}


# --- building


def _node(schema: Obj, own: SchemaType, *, is_root: bool) -> _Node | None:
    """None where there is no rule within."""
    rules = compile_rules(schema, own).rules if schema.get(RULES) else ()
    node = _Node(schema, rules, is_root=is_root)
    for name, inner in (schema.get("properties") or {}).items():
        key = escaped(name)
        known = type_within(inner) if key is None else own.fields.get(key)
        below = _node(inner, known, is_root=bool(inner.get(EMBEDDED))) if known else None
        if below is not None:
            node.fields[name] = below
    for word in ("additionalProperties", "items"):
        inner = schema.get(word)
        if isinstance(inner, dict) and own.element is not None:
            below = _node(inner, own.element, is_root=bool(inner.get(EMBEDDED)))
            if word == "items":
                node.items = below
            else:
                node.values = below
    has_any = rules or node.fields or node.values is not None or node.items is not None
    return node if has_any else None
