"""What bindings and policies match, and the parameters that they are given.

Upstream: pkg/apis/admissionregistration/validation/validation.go.
"""

from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, duplicate, forbidden, not_supported, required
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.admissionregistration.rules import rule_with_operations
from tiphys.apiserver.resources.rules.texts import each, label_selector, unsupported

_POLICIES: Final = ("Equivalent", "Exact")
_NOT_FOUND_ACTIONS: Final = ("Deny", "Allow")
_MUTATED_OPERATIONS: Final = ("*", "CONNECT", "CREATE", "UPDATE")
_EXCLUSIVE: Final = "name and selector are mutually exclusive"


def policy_name(name: str, path: str) -> list[FieldError]:
    return each(path, name, names.dns_subdomain(name)) if name else [required(path)]


def match_resources(match: Obj | None, path: str) -> list[FieldError]:
    if match is None:
        return []
    errors: list[FieldError] = []
    policy = match.get("matchPolicy")
    if policy is None:
        errors.append(required(f"{path}.matchPolicy"))
    elif policy not in _POLICIES:
        errors.append(not_supported(f"{path}.matchPolicy", policy, _POLICIES))
    for field in ("namespaceSelector", "objectSelector"):
        if match.get(field) is None:
            errors.append(required(f"{path}.{field}"))
        errors += label_selector(match.get(field), f"{path}.{field}")
    for field in ("resourceRules", "excludeResourceRules"):
        for index, rule in enumerate(match.get(field) or ()):
            errors += _named_rule(rule, f"{path}.{field}[{index}]")
    return errors


def mutated_operations(match: Obj | None, path: str) -> list[FieldError]:
    """What is deleted cannot be changed."""
    return [
        not_supported(f"{path}.resourceRules.operations", operation, _MUTATED_OPERATIONS)
        for rule in (match or {}).get("resourceRules") or ()
        for operation in rule.get("operations") or ()
        if operation not in _MUTATED_OPERATIONS
    ]


def _named_rule(rule: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    found = rule.get("resourceNames") or []
    for index, name in enumerate(found):
        where = f"{path}.resourceNames[{index}]"
        errors += each(where, name, names.path_segment_name(name, False))
        if name in found[:index]:
            errors.append(duplicate(where, name))
    return errors + rule_with_operations(rule, path)


def param_ref(ref: Obj | None, path: str) -> list[FieldError]:
    if ref is None:
        return []
    name, selector, action = ref.get("name", ""), ref.get("selector"), "parameterNotFoundAction"
    errors = each(f"{path}.name", name, names.path_segment_name(name, False)) if name else []
    if name and selector is not None:
        errors.append(forbidden(f"{path}.name", _EXCLUSIVE))
    errors += label_selector(selector, f"{path}.selector")
    if name and selector is not None:
        errors.append(forbidden(f"{path}.selector", _EXCLUSIVE))
    if not name and selector is None:
        errors.append(required(path, "one of name or selector must be specified"))
    if not ref.get(action):
        errors.append(required(f"{path}.{action}"))
    elif ref[action] not in _NOT_FOUND_ACTIONS:
        errors.append(unsupported(f"{path}.{action}", ref[action], _NOT_FOUND_ACTIONS))
    return errors
