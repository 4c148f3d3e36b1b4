"""PodTemplate. Upstream: pkg/registry/core/podtemplate."""

from tiphys.api.field_errors import FieldError
from tiphys.api.meta import Obj
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.pod_template import default_template
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules import warnings, workload

_INFO = built_in("", "v1", "podtemplates")


def default(pod_template: Obj) -> None:
    default_template(pod_template.get("template"))


def _same_generation(new: Obj, old: Obj) -> None:
    changed = new.get("template") != old.get("template")
    generation.bump(new, old, also=changed)


def validate(pod_template: Obj) -> list[FieldError]:
    return workload.template(pod_template.get("template"), "template")


POD_TEMPLATE = Resource(
    _INFO,
    validate=validate,
    warnings=warnings.of_template("template"),
    columns=columns_of(
        _INFO,
        cells.name,
        cells.container_names("template", "spec"),
        cells.container_images("template", "spec"),
        cells.label_map("template", "metadata", "labels"),
    ),
    default=default,
    before_create=generation.start,
    before_update=_same_generation,
)
