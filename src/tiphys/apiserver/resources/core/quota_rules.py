"""Validation of ResourceQuotas. Upstream: pkg/apis/core/validation/validation.go."""

from typing import Final

from tiphys.api.field_errors import FieldError, invalid, required
from tiphys.api.go_form import go_form
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
_UNFIT: Final = "unsupported scope applied to resource"
_PLAIN_SCOPES: Final = _SCOPES - {"PriorityClass", "VolumeAttributesClass"}


def validate(quota: Obj) -> list[FieldError]:
    spec = quota["spec"]
    errors: list[FieldError] = []
    errors += _amounts(spec.get("hard"), "spec.hard")
    scopes = spec.get("scopes") or []
    for scope in scopes:
        if scope not in _SCOPES:
            errors.append(invalid("spec.scopes", scopes, "unsupported scope"))
        errors += [invalid("spec.scopes", scopes, _UNFIT) for _ in _unfit(scope, spec)]
    errors += _conflicts(set(scopes), "spec.scopes", scopes)
    selector = spec.get("scopeSelector")
    return errors + (_selector(selector, spec) if selector is not None else [])


def _amounts(values: Obj | None, above: str) -> list[FieldError]:
    """Of a status too."""
    errors: list[FieldError] = []
    for name, value in sorted((values or {}).items()):
        path = f"{above}[{name}]"
        errors += resource_name(name, path)
        if "/" not in name and not _is_standard(name):
            errors.append(invalid(path, name, "must be a standard resource for quota"))
        errors += quantity(name, value, path)
    return errors


def _unfit(scope: str, spec: Obj) -> list[str]:
    """What the quota counts although the scope does not fit it."""
    return [name for name in sorted(spec.get("hard") or ()) if not _fits(scope, name)]


def _conflicts(found: set[str], path: str, shown: list[str] | None) -> list[FieldError]:
    pairs = ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"})
    return [invalid(path, shown, "conflicting scopes") for pair in pairs if pair <= found]


def _selector(selector: Obj, spec: Obj) -> list[FieldError]:
    path = "spec.scopeSelector.matchExpressions"
    expressions = selector.get("matchExpressions") or ()
    errors: list[FieldError] = []
    for expression in expressions:
        scope = expression.get("scopeName", "")
        if scope not in _SCOPES:
            errors.append(invalid(f"{path}.scopeName", scope, "unsupported scope"))
        shown = go_form(selector, "core.v1.ScopeSelector")
        errors += [invalid(path, shown, _UNFIT) for _ in _unfit(scope, spec)]
        errors += _expression(expression, path)
    found = {e.get("scopeName", "") for e in expressions}
    return errors + _conflicts(found, path, spec.get("scopes"))


def validate_update(new: Obj, old: Obj) -> list[FieldError]:
    """What a quota counts stays."""
    now, then = (o["spec"].get("scopes") or [] for o in (new, old))
    return [] if set(now) == set(then) else [invalid("spec.scopes", now, IMMUTABLE)]


def validate_status_update(new: Obj, old: Obj) -> list[FieldError]:
    del old
    status = new.get("status") or {}
    return _amounts(status.get("hard"), "status.hard") + _amounts(status.get("used"), "status.used")


def _is_standard(name: str) -> bool:
    return name in _STANDARD or is_hugepages(name.removeprefix("requests."))


def _fits(scope: str, name: str) -> bool:
    known = scope in _SCOPES and _is_standard(name)
    return not known or name in _SCOPED.get(scope, _COMPUTE | {"pods"})


def _expression(expression: Obj, path: str) -> list[FieldError]:
    scope, operator = expression.get("scopeName", ""), expression.get("operator", "")
    values = expression.get("values") or []
    errors: list[FieldError] = []
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
