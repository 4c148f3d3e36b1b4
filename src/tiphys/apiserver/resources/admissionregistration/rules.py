"""Validation of webhook configurations.

Upstream: pkg/apis/admissionregistration/validation/validation.go.
"""

from typing import Any, Final
from urllib.parse import urlsplit

from tiphys.api import names
from tiphys.api.field_errors import FieldError, duplicate, invalid, required
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.admissionregistration.match_conditions import condition_errors
from tiphys.apiserver.resources.admissionregistration.operation_rules import rule_errors
from tiphys.apiserver.resources.rules.texts import each, label_selector, unsupported

_REVIEW_VERSIONS: Final = frozenset({"v1", "v1beta1"})
_SIDE_EFFECTS: Final = ("None", "NoneOnDryRun")
_CHOICES: Final = {
    "failurePolicy": ("Fail", "Ignore"),
    "matchPolicy": ("Equivalent", "Exact"),
}
_REINVOCATION: Final = ("IfNeeded", "Never")
_TIMEOUT_SECONDS_MAX: Final = 30
_SEGMENTS_MIN: Final = 3
_URL_FORM: Final = "; desired format: https://host[/path]"


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
    errors += _client(webhook.get("clientConfig") or {}, f"{path}.clientConfig")
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


def _client(client: Obj, path: str) -> list[FieldError]:
    if ("url" in client) == ("service" in client):
        return [required(path, "exactly one of url or service is required")]
    if "url" in client:
        return _url(client["url"], f"{path}.url")
    return _service(client["service"], f"{path}.service")


def _url(value: str, path: str) -> list[FieldError]:
    try:
        url = urlsplit(value)
    except ValueError as error:
        text = f"url must be a valid URL: {error}{_URL_FORM}"
        return [required(path, text)]
    user, at_sign, host = url.netloc.rpartition("@")
    problems: list[tuple[Any, str]] = []
    if url.scheme != "https":
        problems.append((url.scheme, f"'https' is the only allowed URL scheme{_URL_FORM}"))
    if not host:
        problems.append((host, f"host must be specified{_URL_FORM}"))
    if at_sign:
        problems.append((user, "user information is not permitted in the URL"))
    if url.fragment:
        problems.append((url.fragment, "fragments are not permitted in the URL"))
    if url.query:
        problems.append((url.query, "query parameters are not permitted in the URL"))
    return [invalid(path, shown, text) for shown, text in problems]


def _service(service: Obj, path: str) -> list[FieldError]:
    # Upstream mixes them up: the one that is missing is told as the other.
    other = {"namespace": "name", "name": "namespace"}
    errors = [required(f"{path}.{shown}") for f, shown in other.items() if not service.get(f)]
    texts = names.port_number(service["port"])
    if texts:
        text = "port is not valid: " + ",".join(texts)
        errors.append(invalid(f"{path}.port", service["port"], text))
    return errors + _service_path(service.get("path", ""), f"{path}.path")


def _service_path(value: str, path: str) -> list[FieldError]:
    if value in {"", "/"}:
        return []
    if value == "//":
        return [invalid(path, value, "segment[0] may not be empty")]
    errors: list[FieldError] = []
    if not value.startswith("/"):
        errors.append(invalid(path, value, "must start with a '/'"))
    for index, segment in enumerate(value[1:].removesuffix("/").split("/")):
        texts = names.dns_subdomain(segment)
        if not segment:
            errors.append(invalid(path, value, f"segment[{index}] may not be empty"))
        else:
            errors += each(path, value, (f"segment[{index}]: {t}" for t in texts))
    return errors
