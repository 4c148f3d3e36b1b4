"""RuntimeClass. Upstream: pkg/registry/node/runtimeclass."""

from tiphys.api.field_errors import FieldError
from tiphys.api.meta import Obj
from tiphys.api.names import dns_label
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.pod_template import round_up
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules import node_labels
from tiphys.apiserver.resources.rules.resource_requirements import container_resource_name, quantity
from tiphys.apiserver.resources.rules.scheduling import tolerations
from tiphys.apiserver.resources.rules.texts import immutable, labels, named

_INFO = built_in("node.k8s.io", "v1", "runtimeclasses")


def default(runtime_class: Obj) -> None:
    round_up((runtime_class.get("overhead") or {}).get("podFixed") or {})


def validate(runtime_class: Obj) -> list[FieldError]:
    errors = named(runtime_class.get("handler", ""), "handler", dns_label)
    overhead = (runtime_class.get("overhead") or {}).get("podFixed") or {}
    for name, value in sorted(overhead.items()):
        path = f"overhead.limits[{name}]"
        errors += container_resource_name(name, path) + quantity(name, value, path)
    scheduling = runtime_class.get("scheduling") or {}
    errors += labels(scheduling.get("nodeSelector"), "scheduling.nodeSelector")
    found = scheduling.get("tolerations") or ()
    return errors + tolerations(found, "scheduling.tolerations")


def validate_update(new: Obj, old: Obj) -> list[FieldError]:
    return immutable(new.get("handler"), old.get("handler"), "handler")


def warnings(runtime_class: Obj, old: Obj | None) -> list[str]:
    selector = (runtime_class.get("scheduling") or {}).get("nodeSelector") or {}
    return [
        f"scheduling.nodeSelector: {node_labels.DEPRECATED[key]}"
        for key in sorted(selector)
        if key in node_labels.DEPRECATED
    ]


RUNTIME_CLASS = Resource(
    _INFO,
    validate=validate,
    warnings=warnings,
    validate_update=validate_update,
    allow_create_on_update=True,
    allow_unconditional_update=False,
    columns=columns_of(_INFO, cells.name, cells.value("handler"), cells.age),
    default=default,
)
