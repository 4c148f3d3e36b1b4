"""Which names of a definition are accepted, and what its conditions say. Pure.

Upstream: apiextensions-apiserver pkg/controller/status (naming_controller.go),
pkg/controller/establish, pkg/controller/apiapproval, pkg/controller/nonstructuralschema.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from tiphys.api.meta import Obj, at, rfc3339
from tiphys.apiserver.custom_resources.definition_rules import APPROVED, is_protected
from tiphys.apiserver.custom_resources.structural import structural_errors

_FIELDS: Final = (
    ("plural", "PluralConflict"),
    ("singular", "SingularConflict"),
    ("shortNames", "ShortNamesConflict"),
    ("kind", "KindConflict"),
    ("listKind", "ListKindConflict"),
)
_RESOURCES: Final = ("plural", "singular", "shortNames")


def status_of(definition: Obj, others: Iterable[Obj], now: datetime) -> Obj:
    """The status that the definition should have. `others`: all further definitions."""
    before = definition.get("status") or {}
    taken = _taken(definition, others)
    accepted, naming = _accept(definition, before.get("acceptedNames") or {}, taken)
    status = before | {"acceptedNames": accepted}
    conditions = list(before.get("conditions") or [])
    conditions = with_condition(conditions, naming, now)
    if not is_true(definition, "Established"):
        conditions = with_condition(conditions, _established(naming), now)
    for made in (_structure(definition), _approval(definition)):
        if made is not None:
            conditions = with_condition(conditions, made, now)
    if _structure(definition) is None:
        conditions = [c for c in conditions if c.get("type") != "NonStructuralSchema"]
    return status | {"conditions": conditions}


def is_true(definition: Obj, kind: str) -> bool:
    found = at(definition, "status", "conditions", default=[])
    return any(c.get("type") == kind and c.get("status") == "True" for c in found)


def make_condition(kind: str, status: str, reason: str, message: str) -> Obj:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def with_condition(conditions: list[Obj], made: Obj, now: datetime) -> list[Obj]:
    """Put in or replaced; the time stays where the status does."""
    found = next((c for c in conditions if c.get("type") == made["type"]), None)
    if found is not None and all(found.get(k) == v for k, v in made.items()):
        return conditions
    time = rfc3339(now)
    if found is not None and found.get("status") == made["status"]:
        time = found.get("lastTransitionTime", time)
    new = {
        "type": made["type"],
        "status": made["status"],
        "lastTransitionTime": time,
        "reason": made["reason"],
        "message": made["message"],
    }
    if found is None:
        return [*conditions, new]
    return [new if c is found else c for c in conditions]


def _taken(definition: Obj, others: Iterable[Obj]) -> dict[str, set[str]]:
    """Names that others of the group were given: of resources, and of kinds."""
    resources: set[str] = set()
    kinds: set[str] = set()
    for other in others:
        if at(other, "spec", "group") != definition["spec"]["group"]:
            continue
        names = at(other, "status", "acceptedNames", default={})
        resources.update(names.get(f) or "" for f in ("plural", "singular"))
        resources.update(names.get("shortNames") or ())
        kinds.update(names.get(f) or "" for f in ("kind", "listKind"))
    return {field: (resources if field in _RESOURCES else kinds) - {""} for field, _ in _FIELDS}


def _accept(definition: Obj, before: Obj, taken: dict[str, set[str]]) -> tuple[Obj, Obj]:
    """(the names that are accepted, the condition NamesAccepted)."""
    wanted = definition["spec"]["names"]
    accepted: Obj = {"plural": "", "kind": ""} | before
    condition = make_condition("NamesAccepted", "True", "NoConflicts", "no conflicts found")
    for field, reason in _FIELDS:
        conflicts = _conflicts(wanted.get(field), before.get(field), taken[field])
        if conflicts:
            texts = [f'"{name}" is already in use' for name in conflicts]
            text = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
            condition = make_condition("NamesAccepted", "False", reason, text)
        elif wanted.get(field):
            accepted[field] = wanted[field]
        else:
            accepted.pop(field, None)
    if wanted.get("categories"):
        accepted["categories"] = wanted["categories"]
    else:
        accepted.pop("categories", None)
    return accepted, condition


def _conflicts(wanted: Any, own: Any, taken: set[str]) -> list[str]:
    if isinstance(wanted, list):
        return [name for name in wanted if name in taken and name not in (own or ())]
    return [wanted] if wanted != own and wanted in taken else []


def _established(naming: Obj) -> Obj:
    if naming["status"] == "True":
        text = "the initial names have been accepted"
        return make_condition("Established", "True", "InitialNamesAccepted", text)
    return make_condition("Established", "False", "NotAccepted", "not all names are accepted")


def _structure(definition: Obj) -> Obj | None:
    """Definitions are refused that are not structural: this is of ones that came another way."""
    errors = []
    for index, version in enumerate(definition["spec"]["versions"]):
        schema = at(version, "schema", "openAPIV3Schema")
        if schema is not None:
            path = f"spec.versions[{index}].schema.openAPIV3Schema"
            errors += structural_errors(schema, path)
    if not errors:
        return None
    text = ", ".join(str(error) for error in errors)
    text = f"[{text}]" if len(errors) > 1 else text
    return make_condition("NonStructuralSchema", "True", "Violations", text)


def _approval(definition: Obj) -> Obj | None:
    kind = "KubernetesAPIApprovalPolicyConformant"
    if not is_protected(definition["spec"]["group"]):
        return None
    value = (definition["metadata"].get("annotations") or {}).get(APPROVED) or ""
    where = "see https://github.com/kubernetes/enhancements/pull/1111"
    if value.startswith("unapproved"):
        return make_condition(kind, "False", "UnapprovedAnnotation", f'not approved: "{value}"')
    if value:
        return make_condition(kind, "True", "ApprovedAnnotation", f"approved in {value}")
    text = f'protected groups must have approval annotation "{APPROVED}", {where}'
    return make_condition(kind, "False", "MissingAnnotation", text)
