"""What must hold of claims, and of the user that they make, or the token is nobody's.

Upstream: apiserver pkg/apis/apiserver/validation (claimValidationRules, userValidationRules).
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from tiphys.api.field_errors import duplicate, invalid, required
from tiphys.api.meta import Obj
from tiphys.apiserver.filters.claim_compiling import BOTH, Claims, Compiling, Evaluate, NoUser

Rule: TypeAlias = Callable[[Any], None]
"""Raises NoUser."""


def claim_rules(compiling: Compiling, said: list[Obj], path: str) -> list[Rule]:
    found: list[Rule] = []
    claims: set[str] = set()
    expressions: set[str] = set()
    errors = compiling.errors
    for index, rule in enumerate(said):
        where = f"{path}.claimValidationRules[{index}]"
        claim, expression = rule.get("claim") or "", rule.get("expression") or ""
        message, value = rule.get("message") or "", rule.get("requiredValue") or ""
        if claim and expression:
            errors.append(invalid(where, claim, BOTH))
        elif claim:
            if message:
                text = "may not be specified when claim is set"
                errors.append(invalid(f"{where}.message", message, text))
            if claim in claims:
                errors.append(duplicate(f"{where}.claim", claim))
            claims.add(claim)
            found.append(_has(claim, value))
        elif expression:
            if value:
                text = "may not be specified when expression is set"
                errors.append(invalid(f"{where}.requiredValue", value, text))
            if expression in expressions:
                errors.append(duplicate(f"{where}.expression", expression))
                continue
            expressions.add(expression)
            at = f"{where}.expression"
            found.append(_holds(compiling.of("claims", expression, at, is_rule=True)))
        else:
            errors.append(required(where, "claim or expression is required"))
    return found


def user_rules(compiling: Compiling, said: list[Obj], path: str) -> list[Rule]:
    found: dict[str, Rule] = {}
    for index, rule in enumerate(said):
        where = f"{path}.userValidationRules[{index}].expression"
        expression = rule.get("expression") or ""
        if not expression:
            compiling.errors.append(required(where))
        elif expression in found:
            compiling.errors.append(duplicate(where, expression))
        else:
            evaluate = compiling.of("user", expression, where, is_rule=True)
            found[expression] = _holds(evaluate)
    return list(found.values())


def _has(claim: str, value: str) -> Callable[[Claims], None]:
    def check(claims: Claims) -> None:
        if claims.get(claim) != value:
            raise NoUser(f"the claim {claim} is not as required")

    return check


def _holds(evaluate: Evaluate) -> Rule:
    def check(value: Any) -> None:
        if evaluate(value) is not True:
            raise NoUser("a validation rule does not hold")

    return check
