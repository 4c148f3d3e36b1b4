"""ResourceClaimTemplate. Upstream: pkg/registry/resource/resourceclaimtemplate."""

from tiphys.api.field_errors import FieldError, invalid
from tiphys.api.go_form import go_form
from tiphys.api.meta import Obj
from tiphys.api.resources import built_in
from tiphys.apiserver.object_meta import (
    only_labels_and_annotations,
    validate_annotations,
    validate_labels,
)
from tiphys.apiserver.resources import cells
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.resource_k8s_io import claim_rules
from tiphys.apiserver.resources.resource_k8s_io.device_requests import default_claim_spec
from tiphys.apiserver.resources.rules.semantic import semantically_equal
from tiphys.apiserver.resources.rules.texts import IMMUTABLE

_INFO = built_in("resource.k8s.io", "v1", "resourceclaimtemplates")


def default(template: Obj) -> None:
    default_claim_spec(template["spec"]["spec"])


def validate(template: Obj) -> list[FieldError]:
    metadata, path = template["spec"].get("metadata") or {}, "spec.metadata"
    errors = validate_annotations(metadata.get("annotations") or {}, f"{path}.annotations")
    errors += validate_labels(metadata.get("labels") or {}, f"{path}.labels")
    errors += only_labels_and_annotations(metadata, path)
    return errors + claim_rules.claim_spec(template["spec"].get("spec") or {}, "spec.spec")


def validate_create_in(template: Obj, namespace_labels: dict[str, str]) -> list[FieldError]:
    return claim_rules.admin_access(template["spec"].get("spec") or {}, namespace_labels)


def validate_update(new: Obj, old: Obj) -> list[FieldError]:
    if semantically_equal(new["spec"], old["spec"]):
        return []
    shown = go_form(new["spec"], "resource.v1.ResourceClaimTemplateSpec")
    return [invalid("spec", shown, IMMUTABLE)]


RESOURCE_CLAIM_TEMPLATE = Resource(
    _INFO,
    validate=validate,
    validate_create_in=validate_create_in,
    validate_update=validate_update,
    columns=columns_of(_INFO, cells.name, cells.age),
    default=default,
)
