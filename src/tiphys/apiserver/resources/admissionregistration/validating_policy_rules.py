"""Whether a ValidatingAdmissionPolicy is valid.

Imported with the first policy: its expressions are compiled.
Upstream: pkg/apis/admissionregistration/validation/validation.go
(validateValidatingAdmissionPolicy).
"""

import re
from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, duplicate, invalid, required
from tiphys.api.go_form import go_form
from tiphys.api.meta import Obj
from tiphys.apiserver.policies.compiling import PolicyCompiler
from tiphys.apiserver.resources.admissionregistration import policy_rules
from tiphys.apiserver.resources.rules.texts import each, unsupported

_REASONS: Final = ("Forbidden", "Invalid", "RequestEntityTooLarge")
_ANNOTATIONS_MAX: Final = 20
_VALUE_BYTES_MAX: Final = 5 * 1024
_LINE_BREAK: Final = re.compile(r"[\n\r]")
_NEITHER: Final = "validations or auditAnnotations must contain at least one item"


def policy_errors(policy: Obj) -> list[FieldError]:
    spec = policy["spec"]
    has_params = spec.get("paramKind") is not None
    # Without variables expressions may not speak of them.
    compiler = PolicyCompiler(has_params=has_params, has_variables=bool(spec.get("variables")))
    errors = policy_rules.common_errors(spec)
    errors += policy_rules.match_condition_errors(spec)
    errors += policy_rules.variable_errors(spec, compiler)
    validations = spec.get("validations") or []
    annotations = spec.get("auditAnnotations") or []
    if not validations and not annotations:
        missing = [
            required(f"spec.{field}", _NEITHER) for field in ("validations", "auditAnnotations")
        ]
        return errors + missing
    for index, validation in enumerate(validations):
        errors += _validation(validation, compiler, f"spec.validations[{index}]")
    return errors + _annotations(policy["metadata"], annotations, compiler)


def _validation(validation: Obj, compiler: PolicyCompiler, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    expression = validation.get("expression") or ""
    if not expression.strip():
        errors.append(required(f"{path}.expression", "expression is not specified"))
    elif error := compiler.validation(expression).error:
        errors.append(invalid(f"{path}.expression", expression, error))
    told = validation.get("messageExpression") or ""
    if told and not told.strip():
        text = "must be non-empty if specified"
        errors.append(invalid(f"{path}.messageExpression", told, text))
    elif told and (error := compiler.message(told).error):
        errors.append(invalid(f"{path}.messageExpression", told, error))
    message = validation.get("message") or ""
    if message and not message.strip():
        errors.append(invalid(f"{path}.message", message, "must be non-empty if specified"))
    elif _LINE_BREAK.search(message.strip()):
        errors.append(invalid(f"{path}.message", message, "must not contain line breaks"))
    reason = validation.get("reason")
    if reason is not None and reason not in _REASONS:
        errors.append(unsupported(f"{path}.reason", reason, _REASONS))
    return errors


def _annotations(
    metadata: Obj, annotations: list[Obj], compiler: PolicyCompiler
) -> list[FieldError]:
    errors: list[FieldError] = []
    path = "spec.auditAnnotations"
    if len(annotations) > _ANNOTATIONS_MAX:
        text = f"must not have more than {_ANNOTATIONS_MAX} auditAnnotations"
        shown = [go_form(a, "admissionregistration.v1.AuditAnnotation") for a in annotations]
        errors.append(invalid(path, shown, text))
    seen: set[str] = set()
    for index, annotation in enumerate(annotations):
        where, key = f"{path}[{index}]", annotation.get("key") or ""
        errors += _key(metadata.get("name") or "", key, f"{where}.key")
        value = annotation.get("valueExpression") or ""
        errors += _value(value, compiler, f"{where}.valueExpression")
        if key in seen:
            errors.append(duplicate(f"{where}.key", key))
        seen.add(key)
    return errors


def _key(policy: str, key: str, path: str) -> list[FieldError]:
    if not policy:
        return [invalid(path, key, "requires metadata.name be non-empty")]
    whole = f"{policy}/{key}"
    return each(path, whole, names.qualified_name(whole))


def _value(expression: str, compiler: PolicyCompiler, path: str) -> list[FieldError]:
    text = expression.strip()
    if not text:
        return [required(path, "valueExpression is not specified")]
    if len(text.encode()) > _VALUE_BYTES_MAX:
        return [required(path, f"must not exceed {_VALUE_BYTES_MAX} bytes in length")]
    error = compiler.annotation(text).error
    return [invalid(path, expression, error)] if error else []
