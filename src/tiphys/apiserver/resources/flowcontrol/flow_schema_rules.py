"""Validation of FlowSchemas. Upstream: pkg/apis/flowcontrol/validation/validation.go."""

from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, forbidden, invalid, not_supported, required
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.flowcontrol.mandatory import schema_errors
from tiphys.apiserver.resources.rules.texts import each

_PRECEDENCE_MAX: Final = 10_000
_METHODS: Final = ("ByNamespace", "ByUser")
# The field of a subject's kind.
_SUBJECTS: Final = {"ServiceAccount": "serviceAccount", "User": "user", "Group": "group"}
_VERBS: Final = (
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "proxy",
    "update",
    "watch",
)


def validate(flow_schema: Obj) -> list[FieldError]:
    spec = flow_schema["spec"]
    errors = _precedence(spec["matchingPrecedence"], flow_schema["metadata"].get("name", ""))
    method = spec.get("distinguisherMethod")
    if method is not None and method.get("type", "") not in _METHODS:
        shown = {"Type": method.get("type", "")}
        errors.append(not_supported("spec.distinguisherMethod.type", shown, _METHODS))
    level = (spec.get("priorityLevelConfiguration") or {}).get("name", "")
    path = "spec.priorityLevelConfiguration.name"
    if level:
        errors += each(path, level, names.dns_subdomain(level))
    else:
        errors.append(required(path, "must reference a priority level"))
    for index, rule in enumerate(spec.get("rules") or ()):
        errors += _rule(rule, f"spec.rules[{index}]")
    return errors + schema_errors(flow_schema)


def _precedence(value: int, name: str) -> list[FieldError]:
    path = "spec.matchingPrecedence"
    errors: list[FieldError] = []
    if value <= 0:
        errors.append(invalid(path, value, "must be a positive value"))
    if value > _PRECEDENCE_MAX:
        errors.append(invalid(path, value, f"must not be greater than {_PRECEDENCE_MAX}"))
    if value == 1 and name != "exempt":
        text = "only the schema named 'exempt' may have matchingPrecedence 1"
        errors.append(invalid(path, value, text))
    return errors


def _rule(rule: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    subjects = rule.get("subjects") or []
    if not subjects:
        errors.append(required(f"{path}.subjects", "subjects must contain at least one value"))
    for index, subject in enumerate(subjects):
        errors += _subject(subject, f"{path}.subjects[{index}]")
    resource_rules = rule.get("resourceRules") or []
    url_rules = rule.get("nonResourceRules") or []
    if not resource_rules and not url_rules:
        text = "at least one of resourceRules and nonResourceRules has to be non-empty"
        errors.append(required(path, text))
    for index, resource_rule in enumerate(resource_rules):
        errors += _resource_rule(resource_rule, f"{path}.resourceRules[{index}]")
    for index, url_rule in enumerate(url_rules):
        errors += _url_rule(url_rule, f"{path}.nonResourceRules[{index}]")
    return errors


def _subject(subject: Obj, path: str) -> list[FieldError]:
    kind = subject.get("kind", "")
    if kind not in _SUBJECTS:
        return [not_supported(f"{path}.kind", kind, tuple(_SUBJECTS))]
    field = _SUBJECTS[kind]
    where, value = f"{path}.{field}", subject.get(field)
    errors: list[FieldError] = []
    if value is None:
        errors.append(required(where, f"{field} is required when subject kind is '{kind}'"))
    elif not value.get("name"):
        errors.append(required(f"{where}.name"))
    elif kind == "ServiceAccount" and value["name"] != "*":
        errors += each(f"{where}.name", value["name"], names.dns_subdomain(value["name"]))
    if value is not None and kind == "ServiceAccount":
        errors += _account_namespace(value.get("namespace", ""), f"{where}.namespace")
    for other_kind, other in _SUBJECTS.items():
        if other != field and other in subject:
            text = f"{other} is forbidden when subject kind is not '{other_kind}'"
            errors.append(forbidden(f"{path}.{other}", text))
    return errors


def _account_namespace(namespace: str, path: str) -> list[FieldError]:
    if not namespace:
        return [required(path, "must specify namespace for service account")]
    return each(path, namespace, names.dns_label(namespace))


def _resource_rule(rule: Obj, path: str) -> list[FieldError]:
    errors = _verbs(rule.get("verbs") or [], f"{path}.verbs")
    for field, what in (("apiGroups", "api group"), ("resources", "resource")):
        values = rule.get(field) or []
        if not values:
            text = f"resource rules must supply at least one {what}"
            errors.append(required(f"{path}.{field}", text))
        errors += _alone(values, f"{path}.{field}", f"{what}s")
    namespaces = rule.get("namespaces") or []
    if not namespaces and not rule.get("clusterScope"):
        text = "resource rules that are not cluster scoped must supply at least one namespace"
        errors.append(required(f"{path}.namespaces", text))
    errors += _alone(namespaces, f"{path}.namespaces", "namespaces")
    for index, namespace in enumerate(namespaces if "*" not in namespaces else ()):
        intro = "each member of this list must be '*' or a DNS-1123 label; "
        texts = (intro + text for text in names.dns_label(namespace))
        errors += each(f"{path}.namespaces[{index}]", namespace, texts)
    return errors


def _url_rule(rule: Obj, path: str) -> list[FieldError]:
    errors = _verbs(rule.get("verbs") or [], f"{path}.verbs")
    urls = rule.get("nonResourceURLs") or []
    where = f"{path}.nonResourceURLs"
    if not urls:
        errors.append(required(where, "nonResourceURLs must contain at least one value"))
    errors += _alone(urls, where, "non-resource URLs")
    for index, url in enumerate(urls if "*" not in urls else ()):
        text = _url_problem(url)
        if text:
            errors.append(invalid(f"{where}[{index}]", url, text))
    return errors


def _verbs(verbs: list[str], path: str) -> list[FieldError]:
    if not verbs:
        return [required(path, "verbs must contain at least one value")]
    if "*" not in verbs and not set(verbs) <= set(_VERBS):
        return [not_supported(path, verbs, _VERBS)]
    return _alone(verbs, path, "verbs")


def _alone(values: list[str], path: str, what: str) -> list[FieldError]:
    if "*" in values and len(values) > 1:
        return [invalid(path, values, f"if '*' is present, must not specify other {what}")]
    return []


def _url_problem(url: str) -> str:
    if not url:
        return "must not be empty"
    if url == "/":
        return ""
    if not url.startswith("/"):
        return "must start with slash"
    if " " in url:
        return "must not contain white-space"
    if "//" in url:
        return "must not contain double slash"
    if url.count("*") > 1 or ("*" in url and not url.endswith("/*")):
        return "wildcard can only do suffix matching"
    return ""
