"""What workloads share: a selector, a template that it matches, numbers that are not negative.

Upstream: pkg/apis/apps/validation/validation.go, pkg/apis/core/validation.
"""

import re
from typing import Any, Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, forbidden, invalid, required
from tiphys.api.go_form import api_form
from tiphys.api.labels import from_object
from tiphys.api.meta import Obj
from tiphys.api.percentage import percentage
from tiphys.apiserver.object_meta import validate_annotations, validate_labels
from tiphys.apiserver.resources.rules.pod_annotations import annotated_profiles, pod_annotations
from tiphys.apiserver.resources.rules.pod_spec import pod_spec
from tiphys.apiserver.resources.rules.texts import (
    IMMUTABLE,
    NOT_NEGATIVE,
    each,
    is_empty_selector,
    label_selector,
    unsupported,
)

_SELECTOR: Final = "meta.v1.LabelSelector"
_PERCENT: Final = re.compile("[0-9]+%")
_INTEGER: Final = re.compile("[+-]?[0-9]+")


def template(value: Obj | None, path: str) -> list[FieldError]:
    """Labels, annotations and spec of a pod template."""
    value = value or {"metadata": {}, "spec": {}}
    spec = value.get("spec") or {}
    notes = (value.get("metadata") or {}).get("annotations") or {}
    errors = template_meta(value, path)
    if notes:
        errors += pod_annotations(notes, spec, f"{path}.annotations")
    errors += pod_spec(spec, f"{path}.spec")
    if notes:
        errors += annotated_profiles(notes, spec, f"{path}.spec")
    if spec.get("ephemeralContainers"):
        text = "ephemeral containers not allowed in pod template"
        errors.append(forbidden(f"{path}.spec.ephemeralContainers", text))
    return errors


def selector(value: Obj | None, path: str, *, empty_text: str) -> list[FieldError]:
    if value is None:
        return [required(path)]
    errors = label_selector(value, path)
    if is_empty_selector(value):
        errors.append(invalid(path, {}, empty_text))
    return errors


def template_matches(selector_value: Obj | None, value: Obj | None, path: str) -> list[FieldError]:
    """The selector must select the template's pods. Only where the selector is well-formed."""
    if not is_well_formed(selector_value):
        return []
    found = from_object(selector_value)
    labels = ((value or {}).get("metadata") or {}).get("labels")
    if found.is_everything or found.matches(labels or {}):
        return []
    text = "`selector` does not match template `labels`"
    return [invalid(f"{path}.metadata.labels", labels, text)]


def is_well_formed(value: Obj | None) -> bool:
    return not label_selector(value, "")


def shown_selector(value: Obj | None) -> Obj:
    """As Go marshals it."""
    return {k: v for k, v in api_form(value or {}, _SELECTOR).items() if v}


def same_selector(new: Obj, old: Obj) -> list[FieldError]:
    """Of workloads that keep it for life."""
    now = new["spec"].get("selector")
    if now == old["spec"].get("selector"):
        return []
    shown = None if now is None else shown_selector(now)
    return [invalid("spec.selector", shown, IMMUTABLE)]


def template_meta(value: Obj | None, path: str) -> list[FieldError]:
    meta = (value or {}).get("metadata") or {}
    errors = validate_labels(meta.get("labels") or {}, f"{path}.labels")
    return errors + [
        FieldError(e.kind, f"{path}.annotations", e.value, e.detail)
        for e in validate_annotations(meta.get("annotations") or {})
    ]


def replicated_template(
    spec: Obj, kind: str = "ReplicaSet", value: Obj | None = None
) -> list[FieldError]:
    """The template of a Deployment or ReplicaSet, or that its selector is no selector."""
    chosen = spec.get("selector")
    if not is_well_formed(chosen):
        return [invalid("spec.selector", shown_selector(chosen), "invalid label selector")]
    given = spec.get("template") if value is None else value
    errors = template_matches(chosen, given, "spec.template")
    errors += template(given, "spec.template")
    return errors + always_restarts(given, "spec.template", kind)


def always_restarts(value: Obj | None, path: str, kind: str = "ReplicaSet") -> list[FieldError]:
    spec = (value or {}).get("spec") or {}
    errors: list[FieldError] = []
    policy = spec.get("restartPolicy", "")
    if policy != "Always":
        errors.append(unsupported(f"{path}.spec.restartPolicy", policy, ("Always",)))
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None:
        text = f"activeDeadlineSeconds in {kind} is not Supported"
        errors.append(forbidden(f"{path}.spec.activeDeadlineSeconds", text))
    return errors


def not_negative_at(obj: Obj, path: str, *fields: str) -> list[FieldError]:
    return [invalid(f"{path}.{f}", obj[f], NOT_NEGATIVE) for f in fields if (obj.get(f) or 0) < 0]


def int_or_percent(value: Any, path: str) -> list[FieldError]:
    if isinstance(value, str):
        return each(path, value, names.percent(value))
    return [invalid(path, value, NOT_NEGATIVE)] if (value or 0) < 0 else []


def at_most_all(value: Any, path: str) -> list[FieldError]:
    """A percentage over 100 makes no sense here."""
    if isinstance(value, str) and _PERCENT.fullmatch(value) and percentage(value) > 100:
        return [invalid(path, value, "must not be greater than 100%")]
    return []


def is_zero(value: Any) -> bool:
    """Of no number and of no percentage too: upstream reads it as 0, beside its own error."""
    if not isinstance(value, str):
        return not value
    digits = value[:-1] if _PERCENT.fullmatch(value) else value
    return not digits.lstrip("+-0") if _INTEGER.fullmatch(digits) else True
