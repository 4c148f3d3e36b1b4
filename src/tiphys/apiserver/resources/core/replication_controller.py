"""ReplicationController. Upstream: pkg/registry/core/replicationcontroller."""

from tiphys.api.field_errors import FieldError, invalid, required
from tiphys.api.meta import Obj, at
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.pod_template import default_template
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules import warnings, workload, workload_status

_INFO = built_in("", "v1", "replicationcontrollers")


def default(controller: Obj) -> None:
    spec = controller["spec"]
    labels = at(spec, "template", "metadata", "labels")
    if labels is not None:
        if not spec.get("selector"):
            spec["selector"] = dict(labels)
        if not controller["metadata"].get("labels"):
            controller["metadata"]["labels"] = dict(labels)
    spec.setdefault("replicas", 1)
    default_template(spec.get("template"))
    controller.setdefault("status", {"replicas": 0})


def validate(controller: Obj) -> list[FieldError]:
    spec = controller["spec"]
    errors = workload.not_negative_at(spec, "spec", "minReadySeconds")
    selector = spec.get("selector") or {}
    if not selector:
        errors.append(required("spec.selector"))
    errors += workload.not_negative_at(spec, "spec", "replicas")
    template = spec.get("template")
    if template is None:
        return [*errors, required("spec.template")]
    labels = at(template, "metadata", "labels")
    if any((labels or {}).get(key) != value for key, value in selector.items()):
        text = "`selector` does not match template `labels`"
        errors.append(invalid("spec.template.metadata.labels", labels, text))
    errors += workload.template(template, "spec.template")
    return errors + workload.always_restarts(template, "spec.template", "ReplicationController")


REPLICATION_CONTROLLER = Resource(
    _INFO,
    warnings=warnings.of_template("spec", "template", is_named_alike=True),
    validate=validate,
    columns=columns_of(
        _INFO,
        cells.name,
        cells.value("spec", "replicas", default=0),
        cells.value("status", "replicas", default=0),
        cells.value("status", "readyReplicas", default=0),
        cells.age,
        cells.container_names("spec", "template", "spec"),
        cells.container_images("spec", "template", "spec"),
        cells.label_map("spec", "selector"),
    ),
    default=default,
    before_create=generation.created({"replicas": 0}),
    before_update=generation.updated,
    validate_status_update=workload_status.REPLICA_SET,
    before_status_update=generation.status_updated,
    checks_generated_prefix=False,
    orphans_by_default=True,  # As v1 always did.
    selectable_fields={"status.replicas": lambda o: str(at(o, "status", "replicas", default=0))},
)
