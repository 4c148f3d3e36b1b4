"""Parameters of policies: their kind in the policy, the objects in the binding.

Upstream: pkg/apis/admissionregistration/validation/validation.go (validateParamKind,
validateParamRef).
"""

from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, forbidden, invalid, required
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.rules.texts import each, label_selector, unsupported

_ACTIONS: Final = ("Deny", "Allow")
_EXCLUSIVE: Final = "name and selector are mutually exclusive"


def param_kind_errors(param_kind: Obj | None, path: str) -> list[FieldError]:
    if param_kind is None:
        return []
    errors = _api_version(param_kind.get("apiVersion") or "", f"{path}.apiVersion")
    kind = param_kind.get("kind") or ""
    if not kind:
        errors.append(required(f"{path}.kind"))
    elif texts := names.dns1035_label(kind.lower()):
        text = "may have mixed case, but should otherwise match: " + ",".join(texts)
        errors.append(invalid(f"{path}.kind", kind, text))
    return errors


def _api_version(text: str, path: str) -> list[FieldError]:
    if not text:
        return [required(path)]
    if text.count("/") > 1:
        return [invalid(path, text, f"unexpected GroupVersion string: {text}")]
    group, _, version = text.rpartition("/")
    errors: list[FieldError] = []
    if group and (texts := names.dns_subdomain(group)):
        errors.append(invalid(path, group, ",".join(texts)))
    if not version:
        errors.append(invalid(path, text, "version must be specified"))
    elif texts := names.dns1035_label(version):
        errors.append(invalid(path, version, ",".join(texts)))
    return errors


def param_ref_errors(ref: Obj | None, path: str) -> list[FieldError]:
    if ref is None:
        return []
    errors: list[FieldError] = []
    name, selector = ref.get("name") or "", ref.get("selector")
    if name:
        errors += each(f"{path}.name", name, names.path_segment_name(name, False))
        if selector is not None:
            errors.append(forbidden(f"{path}.name", _EXCLUSIVE))
    if selector is not None:
        errors += label_selector(selector, f"{path}.selector")
        if name:
            errors.append(forbidden(f"{path}.selector", _EXCLUSIVE))
    if not name and selector is None:
        errors.append(required(path, "one of name or selector must be specified"))
    action = ref.get("parameterNotFoundAction") or ""
    if not action:
        errors.append(required(f"{path}.parameterNotFoundAction"))
    elif action not in _ACTIONS:
        errors.append(unsupported(f"{path}.parameterNotFoundAction", action, _ACTIONS))
    return errors
