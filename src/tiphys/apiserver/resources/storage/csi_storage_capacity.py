"""CsiStorageCapacity. Upstream: pkg/registry/storage/csistoragecapacity."""

from tiphys.api import names
from tiphys.api.field_errors import FieldError, invalid
from tiphys.api.meta import Obj
from tiphys.api.quantity import of
from tiphys.api.resources import built_in
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules import node_labels
from tiphys.apiserver.resources.rules.texts import each, immutable, label_selector

_INFO = built_in("storage.k8s.io", "v1", "csistoragecapacities")


def validate(capacity: Obj) -> list[FieldError]:
    name = capacity.get("storageClassName", "")
    errors = label_selector(capacity.get("nodeTopology"), "nodeTopology")
    errors += each("storageClassName", name, names.dns_subdomain(name))
    value = capacity.get("capacity")
    if value is not None and of(value).nanos < 0:
        errors.append(invalid("capacity", value, "must be greater than or equal to 0"))
    return errors


def validate_update(new: Obj, old: Obj) -> list[FieldError]:
    return [
        error
        for field in ("nodeTopology", "storageClassName")
        for error in immutable(new.get(field), old.get(field), field)
    ]


def warnings(capacity: Obj, old: Obj | None) -> list[str]:
    return list(node_labels.of_label_selector(capacity.get("nodeTopology"), "nodeTopology"))


CSI_STORAGE_CAPACITY = Resource(
    _INFO,
    validate=validate,
    warnings=warnings,
    validate_update=validate_update,
    allow_unconditional_update=False,
)
