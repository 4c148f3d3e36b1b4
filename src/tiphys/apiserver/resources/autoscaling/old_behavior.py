"""Behavior as an annotation of autoscaling/v1 holds it: named as upstream's internal type.

That type has no names for JSON; who writes such an annotation may use small letters.
Upstream: pkg/apis/autoscaling/types.go.
"""

from typing import Any, Final

from tiphys.api.meta import Obj

_RULES: Final = ("stabilizationWindowSeconds", "selectPolicy", "policies", "tolerance")
_POLICY: Final = ("type", "value", "periodSeconds")


def to_old(behavior: Obj) -> Obj:
    """v2's behavior in that form, whatever is missing written as null."""
    return {
        _large(direction): _old_rules(behavior.get(direction))
        for direction in ("scaleUp", "scaleDown")
    }


def _old_rules(rules: Obj | None) -> Obj | None:
    if rules is None:
        return None
    found: Obj = {_large(field): rules.get(field) for field in _RULES}
    if rules.get("policies"):
        found["Policies"] = [
            {_large(field): policy.get(field) for field in _POLICY} for policy in rules["policies"]
        ]
    return found


def from_old(found: Any) -> Obj | None:
    """The other way; None where it says nothing. What is no behavior comes back as it is."""
    if not isinstance(found, dict):
        return None
    wide = _small(found, ("scaleUp", "scaleDown"))
    made: Obj = {}
    for direction, rules in wide.items():
        made[direction] = _new_rules(rules) if isinstance(rules, dict) else rules
    return made or None


def _new_rules(rules: Obj) -> Obj:
    made = _small(rules, _RULES)
    policies = made.get("policies")
    if isinstance(policies, list):
        made["policies"] = [_small(p, _POLICY) if isinstance(p, dict) else p for p in policies]
    return made


def _small(found: Obj, fields: tuple[str, ...]) -> Obj:
    """Of the known fields those that are set, whatever the size of their letters."""
    given = {name.lower(): value for name, value in found.items()}
    return {f: given[f.lower()] for f in fields if given.get(f.lower()) is not None}


def _large(name: str) -> str:
    return name[0].upper() + name[1:]
