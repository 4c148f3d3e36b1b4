"""DeviceClass. Upstream: pkg/registry/resource/deviceclass."""

from tiphys.api.field_errors import FieldError, invalid
from tiphys.api.meta import Obj
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.resource_k8s_io import device_rules
from tiphys.apiserver.resources.resource_k8s_io.bounded import each_of
from tiphys.apiserver.resources.rules.resource_requirements import is_extended

_INFO = built_in("resource.k8s.io", "v1", "deviceclasses")


def before_update(new: Obj, old: Obj) -> None:
    generation.bump(new, old)


def validate(device_class: Obj) -> list[FieldError]:
    spec = device_class["spec"]
    errors = device_rules.selectors(spec.get("selectors"), "spec.selectors")
    configs, rule = spec.get("config") or (), device_rules.configuration
    errors += each_of(configs, device_rules.CONFIGS_MAX, rule, "spec.config")
    name = spec.get("extendedResourceName")
    if name is not None and not is_extended(name):
        text = "must be a valid extended resource name"
        errors.append(invalid("spec.extendedResourceName", name, text))
    return errors


DEVICE_CLASS = Resource(
    _INFO,
    validate=validate,
    columns=columns_of(_INFO, cells.name, cells.age),
    before_create=generation.start,
    before_update=before_update,
)
