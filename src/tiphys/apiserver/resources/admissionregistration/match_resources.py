"""Which objects a policy or a binding is for.

Upstream: pkg/apis/admissionregistration/validation/validation.go (validateMatchResources).
"""

from typing import Final

from tiphys.api.field_errors import FieldError, required
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.admissionregistration.operation_rules import named_rule_errors
from tiphys.apiserver.resources.rules.texts import label_selector, unsupported

_MATCH_POLICIES: Final = ("Equivalent", "Exact")
_MUTABLE_OPERATIONS: Final = ("*", "CONNECT", "CREATE", "UPDATE")  # Not what is deleted.


def match_errors(match: Obj | None, path: str) -> list[FieldError]:
    """Defaults are set."""
    if match is None:
        return []
    errors: list[FieldError] = []
    if match["matchPolicy"] not in _MATCH_POLICIES:
        errors.append(unsupported(f"{path}.matchPolicy", match["matchPolicy"], _MATCH_POLICIES))
    for field in ("namespaceSelector", "objectSelector"):
        errors += label_selector(match[field], f"{path}.{field}")
    for field in ("resourceRules", "excludeResourceRules"):
        for index, rule in enumerate(match.get(field) or ()):
            errors += named_rule_errors(rule, f"{path}.{field}[{index}]")
    return errors


def constraint_errors(match: Obj | None, path: str) -> list[FieldError]:
    """Of a policy, which must say what it is for."""
    if match is None:
        return [required(path)]
    errors = match_errors(match, path)
    if not match.get("resourceRules"):
        errors.append(required(f"{path}.resourceRules"))
    return errors


def mutable_operation_errors(match: Obj | None, path: str) -> list[FieldError]:
    """Of what is mutated. Upstream's path names no rule."""
    return [
        unsupported(f"{path}.resourceRules.operations", operation, _MUTABLE_OPERATIONS)
        for rule in (match or {}).get("resourceRules") or ()
        for operation in rule.get("operations") or ()
        if operation not in _MUTABLE_OPERATIONS
    ]
