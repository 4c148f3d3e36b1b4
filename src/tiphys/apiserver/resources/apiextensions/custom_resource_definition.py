"""CustomResourceDefinition.

Upstream: apiextensions-apiserver pkg/registry/customresourcedefinition.
"""

from datetime import datetime
from typing import Final

from tiphys.api.field_errors import FieldError
from tiphys.api.meta import Obj, at
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import generation
from tiphys.apiserver.resources.resource import Resource

_INFO = built_in("apiextensions.k8s.io", "v1", "customresourcedefinitions")


EMPTY_STATUS: Final[Obj] = {
    "conditions": None,
    "acceptedNames": {"plural": "", "kind": ""},
    "storedVersions": None,
}


def default(definition: Obj) -> None:
    spec = definition["spec"]
    names = spec["names"]
    if not names.get("singular"):
        names["singular"] = names.get("kind", "").lower()
    if not names.get("listKind") and names.get("kind"):
        names["listKind"] = f"{names['kind']}List"
    conversion = spec.setdefault("conversion", {"strategy": "None"})
    service = at(conversion, "webhook", "clientConfig", "service")
    if service is not None:
        service.setdefault("port", 443)
    definition.setdefault("status", dict(EMPTY_STATUS))


def before_create(definition: Obj) -> None:
    generation.start(definition)
    definition["status"] = dict(EMPTY_STATUS)
    _note_storage_version(definition)


def before_update(new: Obj, old: Obj) -> None:
    generation.updated(new, old)
    _note_storage_version(new)


def _note_storage_version(definition: Obj) -> None:
    """A version that objects may be stored in stays noted until somebody has converted them."""
    status = dict(definition.get("status") or EMPTY_STATUS)
    stored = list(status.get("storedVersions") or ())
    versions = definition["spec"].get("versions") or ()
    current = next((v["name"] for v in versions if v.get("storage")), None)
    if current is not None and current not in stored:
        stored.append(current)
    definition["status"] = status | {"storedVersions": stored or None}


def validate_create(definition: Obj) -> list[FieldError]:
    """The rules are loaded with the first definition."""
    from tiphys.apiserver.custom_resources.definition_rules import definition_errors, name_errors

    return name_errors(definition) + definition_errors(definition)


def validate_update(new: Obj, old: Obj) -> list[FieldError]:
    from tiphys.apiserver.custom_resources.definition_rules import definition_errors

    return definition_errors(new, old)


def validate_status_update(new: Obj, old: Obj) -> list[FieldError]:
    from tiphys.apiserver.custom_resources.definition_rules import accepted_name_errors

    return list(accepted_name_errors(new))


def warnings(new: Obj, old: Obj | None) -> list[str]:
    if old is not None and new["spec"] == old["spec"]:
        return []
    from tiphys.apiserver.custom_resources import definition_rules

    return definition_rules.warnings(new)


def before_delete(definition: Obj, now: datetime) -> Obj | None:
    from tiphys.apiserver.custom_resources.finalizing import marked

    return marked(definition, now)


CUSTOM_RESOURCE_DEFINITION = Resource(
    _INFO,
    default=default,
    before_create=before_create,
    before_update=before_update,
    before_status_update=generation.status_updated,
    has_status_table=False,
    before_delete=before_delete,
    validate_create=validate_create,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
    warnings=warnings,
    allow_unconditional_update=False,
)
