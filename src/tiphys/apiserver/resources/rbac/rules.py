"""Validation of roles and bindings. Upstream: pkg/apis/rbac/validation/validation.go."""

from collections.abc import Sequence
from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, invalid, required
from tiphys.api.go_form import go_form
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.rbac.subjects import GROUP
from tiphys.apiserver.resources.rules.texts import each, label_selector, unsupported

_KINDS: Final = ("ServiceAccount", "User", "Group")


def role(obj: Obj) -> list[FieldError]:
    return _rules(obj.get("rules") or (), namespaced=True)


def cluster_role(obj: Obj) -> list[FieldError]:
    errors = _rules(obj.get("rules") or (), namespaced=False)
    aggregation = obj.get("aggregationRule")
    if aggregation is None:
        return errors
    path = "aggregationRule.clusterRoleSelectors"
    selectors = aggregation.get("clusterRoleSelectors") or ()
    if not selectors:
        text = "at least one clusterRoleSelector required if aggregationRule is non-nil"
        errors.append(required(path, text))
    for index, selector in enumerate(selectors):
        where = f"{path}[{index}]"
        found = label_selector(selector, where)
        errors += found
        if found:
            errors.append(invalid(where, None, "invalid label selector."))
    return errors


def _rules(rules: Sequence[Obj], *, namespaced: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, rule in enumerate(rules):
        path = f"rules[{index}]"
        urls = rule.get("nonResourceURLs") or []
        if not rule.get("verbs"):
            text = "verbs must contain at least one value"
            errors.append(required(f"{path}.verbs", text))
        if urls:
            where = f"{path}.nonResourceURLs"
            if namespaced:
                text = "namespaced rules cannot apply to non-resource URLs"
                errors.append(invalid(where, urls, text))
            if any(rule.get(f) for f in ("apiGroups", "resources", "resourceNames")):
                text = "rules cannot apply to both regular resources and non-resource URLs"
                errors.append(invalid(where, urls, text))
            continue
        if not rule.get("apiGroups"):
            text = "resource rules must supply at least one api group"
            errors.append(required(f"{path}.apiGroups", text))
        if not rule.get("resources"):
            text = "resource rules must supply at least one resource"
            errors.append(required(f"{path}.resources", text))
    return errors


def role_binding(obj: Obj) -> list[FieldError]:
    return _binding(obj, ("Role", "ClusterRole"), namespaced=True)


def cluster_role_binding(obj: Obj) -> list[FieldError]:
    return _binding(obj, ("ClusterRole",), namespaced=False)


def _binding(obj: Obj, kinds: tuple[str, ...], *, namespaced: bool) -> list[FieldError]:
    ref = obj.get("roleRef") or {}
    errors: list[FieldError] = []
    if ref.get("apiGroup") != GROUP:
        errors.append(unsupported("roleRef.apiGroup", ref.get("apiGroup", ""), (GROUP,)))
    if ref.get("kind", "") not in kinds:
        errors.append(unsupported("roleRef.kind", ref.get("kind", ""), kinds))
    name = ref.get("name", "")
    if not name:
        errors.append(required("roleRef.name"))
    else:
        errors += each("roleRef.name", name, names.path_segment_name(name, False))
    for index, subject in enumerate(obj.get("subjects") or ()):
        errors += _subject(subject, f"subjects[{index}]", namespaced=namespaced)
    return errors


def _subject(subject: Obj, path: str, *, namespaced: bool) -> list[FieldError]:
    kind, name, group = (subject.get(f, "") for f in ("kind", "name", "apiGroup"))
    errors = [] if name else [required(f"{path}.name")]
    if kind == "ServiceAccount":
        if name:
            errors += each(f"{path}.name", name, names.dns_subdomain(name))
        if group:
            errors.append(unsupported(f"{path}.apiGroup", group, ("",)))
        if not namespaced and not subject.get("namespace"):
            errors.append(required(f"{path}.namespace"))
    elif kind in {"User", "Group"}:
        if group != GROUP:
            errors.append(unsupported(f"{path}.apiGroup", group, (GROUP,)))
    else:
        errors.append(unsupported(f"{path}.kind", kind, _KINDS))
    return errors


def binding_update(new: Obj, old: Obj) -> list[FieldError]:
    if new.get("roleRef") == old.get("roleRef"):
        return []
    ref = new.get("roleRef") or {}
    return [invalid("roleRef", go_form(ref, "rbac.v1.RoleRef"), "cannot change roleRef")]
