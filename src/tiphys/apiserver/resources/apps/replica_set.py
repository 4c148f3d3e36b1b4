"""ReplicaSet. Upstream: pkg/registry/apps/replicaset/strategy.go, pkg/apis/apps/v1/defaults.go."""

from tiphys.api.field_errors import FieldError
from tiphys.api.meta import Obj
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.pod_template import default_template
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules import warnings, workload, workload_status

_INFO = built_in("apps", "v1", "replicasets")


def default(replica_set: Obj) -> None:
    spec = replica_set["spec"]
    spec.setdefault("replicas", 1)
    default_template(spec.get("template"))
    replica_set.setdefault("status", {"replicas": 0})


_TEMPLATE = ("spec", "template", "spec")


def validate(replica_set: Obj) -> list[FieldError]:
    spec = replica_set["spec"]
    errors = workload.not_negative_at(spec, "spec", "replicas", "minReadySeconds")
    text = "empty selector is invalid for deployment"
    errors += workload.selector(spec.get("selector"), "spec.selector", empty_text=text)
    return errors + workload.replicated_template(spec)


REPLICA_SET = Resource(
    _INFO,
    warnings=warnings.of_template("spec", "template", is_named_alike=True),
    validate=validate,
    validate_update=workload.same_selector,
    default=default,
    before_create=generation.created({"replicas": 0}),
    before_update=generation.updated,
    validate_status_update=workload_status.REPLICA_SET,
    before_status_update=generation.status_updated,
    columns=columns_of(
        _INFO,
        cells.name,
        cells.value("spec", "replicas", default=0),
        cells.value("status", "replicas", default=0),
        cells.value("status", "readyReplicas", default=0),
        cells.age,
        cells.container_names(*_TEMPLATE),
        cells.container_images(*_TEMPLATE),
        cells.selector("spec", "selector"),
    ),
)
