"""Validation of ResourceQuotas. Upstream: pkg/apis/core/validation/validation.go."""

from typing import Final

from tiphys.api.field_errors import FieldError, invalid, required
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.rules.resource_requirements import (
    is_hugepages,
    quantity,
    resource_name,
)
from tiphys.apiserver.resources.rules.texts import IMMUTABLE

_SCOPES: Final = frozenset(
    {
        "Terminating", "NotTerminating", "BestEffort", "NotBestEffort", "PriorityClass",
        "CrossNamespacePodAffinity", "VolumeAttributesClass",
    }
)  # fmt: skip
_COMPUTE: Final = frozenset(
    f"{prefix}{name}" for prefix in ("", "requests.", "limits.") for name in ("cpu", "memory")
)
# What a quota may count beside plain prefixes, and what of it a scope fits.
# Source: core/helper/helpers.go (standardQuotaResources, IsResourceQuotaScopeValidForResource).
_STANDARD: Final = _COMPUTE | {
    "ephemeral-storage", "requests.ephemeral-storage", "limits.ephemeral-storage",
    "requests.storage", "pods", "resourcequotas", "services", "replicationcontrollers", "secrets",
    "persistentvolumeclaims", "configmaps", "services.nodeports", "services.loadbalancers",
}  # fmt: skip
_SCOPED: Final = {
    "BestEffort": frozenset({"pods"}),
    "VolumeAttributesClass": frozenset({"persistentvolumeclaims", "requests.storage"}),
}
_PLAIN_SCOPES: Final = _SCOPES - {"PriorityClass", "VolumeAttributesClass"}


def validate(quota: Obj) -> list[FieldError]:
    spec = quota["spec"]
    errors: list[FieldError] = []
    for name, value in sorted((spec.get("hard") or {}).items()):
        path = f"spec.hard[{name}]"
        errors += resource_name(name, path)
        if "/" not in name and not _is_standard(name):
            errors.append(invalid(path, name, "must be a standard resource for quota"))
        errors += quantity(name, value, path)
    scopes = spec.get("scopes") or []
    found = set(scopes)
    for scope in scopes:
        if scope not in _SCOPES:
            errors.append(invalid("spec.scopes", scopes, "unsupported scope"))
        elif not all(_fits(scope, name) for name in spec.get("hard") or {}):
            errors.append(invalid("spec.scopes", scopes, "unsupported scope applied to resource"))
    for pair in ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"}):
        if pair <= found:
            errors.append(invalid("spec.scopes", scopes, "conflicting scopes"))
    expressions = (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    for expression in expressions:
        errors += _expression(expression, "spec.scopeSelector.matchExpressions")
    return errors


def validate_update(new: Obj, old: Obj) -> list[FieldError]:
    """What a quota counts stays."""
    now, then = (o["spec"].get("scopes") or [] for o in (new, old))
    return [] if set(now) == set(then) else [invalid("spec.scopes", now, IMMUTABLE)]


def _is_standard(name: str) -> bool:
    return name in _STANDARD or is_hugepages(name.removeprefix("requests."))


def _fits(scope: str, name: str) -> bool:
    return not _is_standard(name) or name in _SCOPED.get(scope, _COMPUTE | {"pods"})


def _expression(expression: Obj, path: str) -> list[FieldError]:
    scope, operator = expression.get("scopeName", ""), expression.get("operator", "")
    values = expression.get("values") or []
    errors: list[FieldError] = []
    if scope not in _SCOPES:
        errors.append(invalid(f"{path}.scopeName", scope, "unsupported scope"))
    if scope in _PLAIN_SCOPES and operator != "Exists":
        text = (
            "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, "
            "ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, "
            "ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
        )
        errors.append(invalid(f"{path}.operator", operator, text))
    if operator in {"In", "NotIn"}:
        if not values:
            text = (
                "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
            )
            errors.append(required(f"{path}.values", text))
    elif operator in {"Exists", "DoesNotExist"}:
        if values:
            text = (
                "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
            )
            errors.append(invalid(f"{path}.values", values, text))
    else:
        errors.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    return errors
