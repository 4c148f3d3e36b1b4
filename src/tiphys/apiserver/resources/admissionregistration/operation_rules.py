"""Which requests a webhook or a policy is for: operations, groups, versions, resources, scope.

Upstream: pkg/apis/admissionregistration/validation/validation.go (validateRuleWithOperations).
"""

from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, duplicate, invalid, required
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.rules.texts import each, unsupported

_OPERATIONS: Final = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_SCOPES: Final = ("*", "Cluster", "Namespaced")


def named_rule_errors(rule: Obj, path: str) -> list[FieldError]:
    """A rule that may name its objects."""
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, name in enumerate(rule.get("resourceNames") or ()):
        where = f"{path}.resourceNames[{index}]"
        errors += each(where, name, names.path_segment_name(name, False))
        if name in seen:
            errors.append(duplicate(where, name))
        seen.add(name)
    return errors + rule_errors(rule, path)


def rule_errors(rule: Obj, path: str) -> list[FieldError]:
    operations = rule.get("operations") or []
    errors = _wildcard(operations, f"{path}.operations", "operations")
    for index, operation in enumerate(operations):
        if operation not in _OPERATIONS:
            errors.append(unsupported(f"{path}.operations[{index}]", operation, _OPERATIONS))
    versions = rule.get("apiVersions") or []
    errors += _wildcard(rule.get("apiGroups") or [], f"{path}.apiGroups", "API groups")
    errors += _wildcard(versions, f"{path}.apiVersions", "API versions")
    for index, version in enumerate(versions):
        if not version:
            errors.append(required(f"{path}.apiVersions[{index}]"))
    errors += _resources(rule.get("resources") or [], f"{path}.resources")
    if rule["scope"] not in _SCOPES:
        errors.append(unsupported(f"{path}.scope", rule["scope"], _SCOPES))
    return errors


def _wildcard(values: list[str], path: str, what: str) -> list[FieldError]:
    if not values:
        return [required(path)]
    if len(values) > 1 and "*" in values:
        return [invalid(path, values, f"if '*' is present, must not specify other {what}")]
    return []


def _resources(resources: list[str], path: str) -> list[FieldError]:
    if not resources:
        return [required(path)]
    errors: list[FieldError] = []
    whole: set[str] = set()
    subresources: set[str] = set()
    last = "*"  # Of those without a subresource: upstream looks at that one only.
    for index, resource in enumerate(resources):
        where = f"{path}[{index}]"
        if not resource:
            errors.append(required(where))
            continue
        name, slash, subresource = resource.partition("/")
        if not slash:
            last = name
            continue
        if name in whole:
            text = f"if '{name}/*' is present, must not specify {resource}"
            errors.append(invalid(where, resource, text))
        if subresource in subresources:
            text = f"if '*/{subresource}' is present, must not specify {resource}"
            errors.append(invalid(where, resource, text))
        if subresource == "*":
            whole.add(name)
        if name == "*":
            subresources.add(subresource)
    if len(resources) > 1 and "*/*" in resources:
        text = "if '*/*' is present, must not specify other resources"
        errors.append(invalid(path, resources, text))
    if "*" in resources and last != "*":
        text = "if '*' is present, must not specify other resources without subresources"
        errors.append(invalid(path, resources, text))
    return errors
