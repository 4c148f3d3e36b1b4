"""Validation of webhook configurations.

Upstream: pkg/apis/admissionregistration/validation/validation.go.
"""

from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, duplicate, invalid, required
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.admissionregistration.match_conditions import condition_errors
from tiphys.apiserver.resources.admissionregistration.operation_rules import rule_errors
from tiphys.apiserver.resources.rules.texts import each, label_selector, unsupported
from tiphys.apiserver.resources.rules.webhook_client import webhook_client

_REVIEW_VERSIONS: Final = frozenset({"v1", "v1beta1"})
_SIDE_EFFECTS: Final = ("None", "NoneOnDryRun")
_CHOICES: Final = {
    "failurePolicy": ("Fail", "Ignore"),
    "matchPolicy": ("Equivalent", "Exact"),
}
_REINVOCATION: Final = ("IfNeeded", "Never")
_TIMEOUT_SECONDS_MAX: Final = 30
_SEGMENTS_MIN: Final = 3


def validate(configuration: Obj) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, webhook in enumerate(configuration.get("webhooks") or ()):
        path, name = f"webhooks[{index}]", webhook.get("name", "")
        errors += _webhook(webhook, path)
        errors += _review_versions(
            webhook.get("admissionReviewVersions") or [], f"{path}.admissionReviewVersions"
        )
        if name and name in seen:
            errors.append(duplicate(f"{path}.name", name))
        seen.add(name)
    return errors


def _webhook(webhook: Obj, path: str) -> list[FieldError]:
    errors = _full_name(webhook.get("name", ""), f"{path}.name")
    for index, rule in enumerate(webhook.get("rules") or ()):
        errors += rule_errors(rule, f"{path}.rules[{index}]")
    for field, valid in _CHOICES.items():
        if webhook[field] not in valid:
            errors.append(unsupported(f"{path}.{field}", webhook[field], valid))
    errors += _side_effects(webhook.get("sideEffects"), f"{path}.sideEffects")
    timeout = webhook["timeoutSeconds"]
    if not 1 <= timeout <= _TIMEOUT_SECONDS_MAX:
        text = "the timeout value must be between 1 and 30 seconds"
        errors.append(invalid(f"{path}.timeoutSeconds", timeout, text))
    for field in ("namespaceSelector", "objectSelector"):
        errors += label_selector(webhook[field], f"{path}.{field}")
    reinvocation = webhook.get("reinvocationPolicy", "Never")
    if reinvocation not in _REINVOCATION:
        errors.append(unsupported(f"{path}.reinvocationPolicy", reinvocation, _REINVOCATION))
    errors += webhook_client(webhook.get("clientConfig") or {}, f"{path}.clientConfig")
    where = f"{path}.matchConditions"
    errors += condition_errors(webhook.get("matchConditions") or [], where, has_params=False)
    return errors


def _full_name(name: str, path: str) -> list[FieldError]:
    if not name:
        return [required(path)]
    texts = names.dns_subdomain(name)
    if texts:
        return [invalid(path, name, ",".join(texts))]
    if len(name.split(".")) < _SEGMENTS_MIN:
        text = "should be a domain with at least three segments separated by dots"
        return [invalid(path, name, text)]
    return []


def _side_effects(value: str | None, path: str) -> list[FieldError]:
    if value is None:
        return [required(path, "must specify one of None, NoneOnDryRun")]
    return [] if value in _SIDE_EFFECTS else [unsupported(path, value, _SIDE_EFFECTS)]


def _review_versions(versions: list[str], path: str) -> list[FieldError]:
    if not versions:
        return [required(path, "must specify one of v1, v1beta1")]
    errors: list[FieldError] = []
    for index, version in enumerate(versions):
        where = f"{path}[{index}]"
        if version in versions[:index]:
            errors.append(invalid(where, version, "duplicate version"))
            continue
        errors += each(where, version, names.dns1035_label(version))
    if _REVIEW_VERSIONS.isdisjoint(versions):
        errors.append(invalid(path, versions, "must include at least one of v1, v1beta1"))
    return errors
