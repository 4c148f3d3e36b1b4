"""RuntimeClass. Upstream: pkg/registry/node/runtimeclass."""

from collections.abc import Sequence
from typing import Final

from tiphys.api.field_errors import FieldError, duplicate
from tiphys.api.go_form import go_form
from tiphys.api.meta import Obj
from tiphys.api.names import dns_label
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.pod_template import round_up
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules import node_labels
from tiphys.apiserver.resources.rules.resource_requirements import requirements
from tiphys.apiserver.resources.rules.scheduling import tolerations
from tiphys.apiserver.resources.rules.texts import immutable, labels, named, repeats

_INFO = built_in("node.k8s.io", "v1", "runtimeclasses")
_KEY: Final = ("key", "operator", "value", "effect")  # Of a toleration in the list.


def default(runtime_class: Obj) -> None:
    round_up((runtime_class.get("overhead") or {}).get("podFixed") or {})


def validate(runtime_class: Obj) -> list[FieldError]:
    errors = named(runtime_class.get("handler", ""), "handler", dns_label)
    overhead = (runtime_class.get("overhead") or {}).get("podFixed") or {}
    errors += requirements({"limits": overhead}, "overhead", ())
    scheduling = runtime_class.get("scheduling") or {}
    errors += labels(scheduling.get("nodeSelector"), "scheduling.nodeSelector")
    found = scheduling.get("tolerations") or ()
    return errors + tolerations(found, "scheduling.tolerations") + _duplicates(found)


def _duplicates(tolerations_of_class: Sequence[Obj]) -> list[FieldError]:
    keys = (tuple(t.get(f, "") for f in _KEY) for t in tolerations_of_class)
    return [
        duplicate(
            f"scheduling.tolerations[{index}]",
            go_form(tolerations_of_class[index], "core.v1.Toleration"),
        )
        for index in repeats(keys)
    ]


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
    update_order=("whole", "meta", "change"),
    allow_create_on_update=True,
    allow_unconditional_update=False,
    columns=columns_of(_INFO, cells.name, cells.value("handler"), cells.age),
    default=default,
)
