"""Where a pod may run: affinity, tolerations, spread, gates.

Upstream: pkg/apis/core/validation/validation.go.
"""

from collections.abc import Sequence
from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.rules.texts import each, label_name, label_selector, unsupported

_EFFECTS: Final = ("NoExecute", "NoSchedule", "PreferNoSchedule")
_POLICIES: Final = ("Honor", "Ignore")
_UNSATISFIABLE: Final = ("DoNotSchedule", "ScheduleAnyway")


def affinity(value: Obj | None, path: str) -> list[FieldError]:
    if value is None:
        return []
    errors: list[FieldError] = []
    node = value.get("nodeAffinity")
    if node is not None:
        errors += _node_affinity(node, f"{path}.nodeAffinity")
    for field in ("podAffinity", "podAntiAffinity"):
        if field in value:
            errors += _pod_affinity(value[field], f"{path}.{field}")
    return errors


def _node_affinity(value: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    needed = value.get("requiredDuringSchedulingIgnoredDuringExecution")
    if needed is not None:
        errors += node_selector(needed, f"{path}.requiredDuringSchedulingIgnoredDuringExecution")
    wished = value.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    for index, term in enumerate(wished):
        where = f"{path}.preferredDuringSchedulingIgnoredDuringExecution[{index}]"
        errors += _weight(term, where)
        preference = term.get("preference") or {}
        errors += node_selector_term(preference, f"{where}.preference", any_values=True)
    return errors


def _weight(term: Obj, path: str) -> list[FieldError]:
    weight = term.get("weight", 0)
    if 1 <= weight <= 100:
        return []
    return [invalid(f"{path}.weight", weight, "must be in the range 1-100")]


def node_selector(value: Obj, path: str) -> list[FieldError]:
    terms = value.get("nodeSelectorTerms") or ()
    if not terms:
        text = "must have at least one node selector term"
        return [required(f"{path}.nodeSelectorTerms", text)]
    return [
        error
        for index, term in enumerate(terms)
        for error in node_selector_term(term, f"{path}.nodeSelectorTerms[{index}]")
    ]


def node_selector_term(term: Obj, path: str, *, any_values: bool = False) -> list[FieldError]:
    """any_values: a value need not be one that a label can have."""
    errors: list[FieldError] = []
    for index, expression in enumerate(term.get("matchExpressions") or ()):
        where = f"{path}.matchExpressions[{index}]"
        errors += _node_requirement(expression, where, any_values=any_values)
    for index, expression in enumerate(term.get("matchFields") or ()):
        errors += _node_field(expression, f"{path}.matchFields[{index}]")
    return errors


def _node_requirement(expression: Obj, path: str, *, any_values: bool) -> list[FieldError]:
    operator, values = expression.get("operator", ""), expression.get("values") or []
    errors: list[FieldError] = []
    match operator:
        case "In" | "NotIn":
            if not values:
                text = "must be specified when `operator` is 'In' or 'NotIn'"
                errors.append(required(f"{path}.values", text))
        case "Exists" | "DoesNotExist":
            if values:
                text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                errors.append(forbidden(f"{path}.values", text))
        case "Gt" | "Lt":
            if len(values) != 1:
                text = "must be specified single value when `operator` is 'Lt' or 'Gt'"
                errors.append(required(f"{path}.values", text))
        case _:
            errors.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    errors += label_name(expression.get("key", ""), f"{path}.key")
    for index, value in enumerate(() if any_values else values):
        errors += each(f"{path}.values[{index}]", value, names.label_value(value))
    return errors


def _node_field(expression: Obj, path: str) -> list[FieldError]:
    operator, values = expression.get("operator", ""), expression.get("values") or []
    errors: list[FieldError] = []
    if operator in {"In", "NotIn"}:
        if len(values) != 1:
            text = (
                "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
            )
            errors.append(required(f"{path}.values", text))
    else:
        errors.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    key = expression.get("key", "")
    if key != "metadata.name":
        return [*errors, invalid(f"{path}.key", key, "not a valid field selector key")]
    for index, value in enumerate(values):
        errors += each(f"{path}.values[{index}]", value, names.dns_subdomain(value))
    return errors


def _pod_affinity(value: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    needed = value.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
    for index, term in enumerate(needed):
        where = f"{path}.requiredDuringSchedulingIgnoredDuringExecution[{index}]"
        errors += _pod_affinity_term(term, where)
    wished = value.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    for index, weighted in enumerate(wished):
        where = f"{path}.preferredDuringSchedulingIgnoredDuringExecution[{index}]"
        errors += _weight(weighted, where)
        term = weighted.get("podAffinityTerm") or {}
        errors += _pod_affinity_term(term, f"{where}.podAffinityTerm")
    return errors


def _pod_affinity_term(term: Obj, path: str) -> list[FieldError]:
    errors = label_selector(term.get("labelSelector"), f"{path}.labelSelector")
    errors += label_selector(term.get("namespaceSelector"), f"{path}.namespaceSelector")
    for namespace in term.get("namespaces") or ():
        errors += each(f"{path}.namespace", namespace, names.dns_label(namespace))
    errors += _label_keys(
        path,
        term.get("matchLabelKeys") or (),
        term.get("mismatchLabelKeys") or (),
        term.get("labelSelector"),
    )
    key = term.get("topologyKey", "")
    if not key:
        errors.append(required(f"{path}.topologyKey", "can not be empty"))
    return errors + label_name(key, f"{path}.topologyKey")


def _label_keys(
    path: str, match: Sequence[str], mismatch: Sequence[str], selector: Obj | None
) -> list[FieldError]:
    if not match and not mismatch:
        return []
    errors: list[FieldError] = []
    for field, keys in (("matchLabelKeys", match), ("mismatchLabelKeys", mismatch)):
        if keys and selector is None:
            text = "must not be specified when labelSelector is not set"
            errors.append(forbidden(f"{path}.{field}", text))
            continue
        for index, key in enumerate(keys):
            errors += label_name(key, f"{path}.{field}[{index}]")
    errors += _keys_of_selector(path, match, selector or {})
    for index, key in enumerate(match):
        if key in mismatch:
            text = "exists in both matchLabelKeys and mismatchLabelKeys"
            errors.append(invalid(f"{path}.matchLabelKeys[{index}]", key, text))
    return errors


def _keys_of_selector(path: str, match: Sequence[str], selector: Obj) -> list[FieldError]:
    """A key whose value is the pod's own must not be asked for beside that."""
    places = {key: index for index, key in enumerate(match)}
    seen = set(selector.get("matchLabels") or ())
    errors: list[FieldError] = []
    for expression in selector.get("matchExpressions") or ():
        key = expression.get("key", "")
        if key in places and key in seen:
            text = "exists in both matchLabelKeys and labelSelector"
            errors.append(invalid(f"{path}[{places[key]}]", key, text))
        seen.add(key)
    return errors


def tolerations(values: Sequence[Obj], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, toleration in enumerate(values):
        errors += _toleration(toleration, f"{path}[{index}]")
    return errors


def _toleration(toleration: Obj, path: str) -> list[FieldError]:
    key, operator = toleration.get("key", ""), toleration.get("operator", "")
    value, effect = toleration.get("value", ""), toleration.get("effect", "")
    errors = label_name(key, f"{path}.key") if key else []
    if not key and operator != "Exists":
        text = (
            "operator must be Exists when `key` is empty, which means "
            '"match all values and all keys"'
        )
        errors.append(invalid(f"{path}.operator", operator, text))
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        text = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        errors.append(invalid(f"{path}.effect", effect, text))
    if operator in {"Equal", ""}:
        if texts := names.label_value(value):
            errors.append(invalid(f"{path}.operator", value, ";".join(texts)))
    elif operator == "Exists":
        if value:
            text = "value must be empty when `operator` is 'Exists'"
            errors.append(invalid(f"{path}.operator", value, text))
    elif operator in {"Lt", "Gt"}:
        operators = ("Equal", "Exists", "Lt", "Gt")
        errors.append(unsupported(f"{path}.operator", operator, operators))
    else:
        errors.append(not_supported(f"{path}.operator", operator, ("Equal", "Exists")))
    if effect and effect not in _EFFECTS:
        valid = ("NoSchedule", "PreferNoSchedule", "NoExecute")
        errors.append(unsupported(f"{path}.effect", effect, valid))
    return errors


def topology_spread(values: Sequence[Obj], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, constraint in enumerate(values):
        errors += _spread(constraint, values[index + 1 :], f"{path}[{index}]")
    return errors


def _spread(constraint: Obj, later: Sequence[Obj], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    skew, key = constraint.get("maxSkew", 0), constraint.get("topologyKey", "")
    unsatisfiable = constraint.get("whenUnsatisfiable", "")
    if skew <= 0:
        errors.append(invalid(f"{path}.maxSkew", skew, "must be greater than zero"))
    if not key:
        errors.append(required(f"{path}.topologyKey", "can not be empty"))
    if unsatisfiable not in _UNSATISFIABLE:
        errors.append(not_supported(f"{path}.whenUnsatisfiable", unsatisfiable, _UNSATISFIABLE))
    pair = (key, unsatisfiable)
    if any((o.get("topologyKey", ""), o.get("whenUnsatisfiable", "")) == pair for o in later):
        text = f"{{{key}, {unsatisfiable}}}"
        errors.append(duplicate(f"{path}.{{topologyKey, whenUnsatisfiable}}", text))
    domains = constraint.get("minDomains")
    if domains is not None:
        if domains <= 0:
            errors.append(invalid(f"{path}.minDomains", domains, "must be greater than zero"))
        if unsatisfiable != "DoNotSchedule":
            text = (
                f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {unsatisfiable}"
            )
            errors.append(invalid(f"{path}.minDomains", domains, text))
    for field in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
        policy = constraint.get(field)
        if policy is not None and policy not in _POLICIES:
            errors.append(not_supported(f"{path}.{field}", policy, _POLICIES))
    keys = constraint.get("matchLabelKeys") or ()
    errors += _label_keys(path, keys, (), constraint.get("labelSelector"))
    return errors + label_selector(constraint.get("labelSelector"), f"{path}.labelSelector")


def scheduling_gates(values: Sequence[Obj], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, gate in enumerate(values):
        name = gate.get("name", "")
        errors += label_name(name, f"{path}[{index}]")
        if name in seen:
            errors.append(duplicate(f"{path}[{index}]", name))
        seen.add(name)
    return errors


def taints(values: Sequence[Obj], path: str) -> list[FieldError]:
    """Of a node's spec."""
    errors: list[FieldError] = []
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(values):
        where = f"{path}[{index}]"
        key, value, effect = (taint.get(f, "") for f in ("key", "value", "effect"))
        errors += label_name(key, f"{where}.key")
        if texts := names.label_value(value):
            errors.append(invalid(f"{where}.value", value, ";".join(texts)))
        if not effect:
            errors.append(required(f"{where}.effect"))
        elif effect not in _EFFECTS:
            valid = ("NoSchedule", "PreferNoSchedule", "NoExecute")
            errors.append(unsupported(f"{where}.effect", effect, valid))
        if (key, effect) in seen:
            text = "taints must be unique by key and effect pair"
            error = duplicate(where, taint)
            errors.append(FieldError(error.kind, where, taint, text))
        seen.add((key, effect))
    return errors
