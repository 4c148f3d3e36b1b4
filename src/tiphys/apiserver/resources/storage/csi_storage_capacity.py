"""CsiStorageCapacity. Upstream: pkg/registry/storage/csistoragecapacity."""

from tiphys.api import names
from tiphys.api.field_errors import FieldError, invalid
from tiphys.api.meta import Obj
from tiphys.api.quantity import of
from tiphys.api.resources import built_in
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules.texts import each, label_selector

_INFO = built_in("storage.k8s.io", "v1", "csistoragecapacities")


def validate(capacity: Obj) -> list[FieldError]:
    name = capacity.get("storageClassName", "")
    errors = each("storageClassName", name, names.dns_subdomain(name))
    errors += label_selector(capacity.get("nodeTopology"), "nodeTopology")
    value = capacity.get("capacity")
    if value is not None and of(value).nanos < 0:
        errors.append(invalid("capacity", value, "must be greater than or equal to 0"))
    return errors


CSI_STORAGE_CAPACITY = Resource(
    _INFO,
    validate=validate,
)
