"""PriorityClass. Upstream: pkg/registry/scheduling/priorityclass."""

from tiphys.api.meta import Obj
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource

_INFO = built_in("scheduling.k8s.io", "v1", "priorityclasses")


def default(priority_class: Obj) -> None:
    priority_class.setdefault("preemptionPolicy", "PreemptLowerPriority")


def before_create(priority_class: Obj) -> None:
    generation.start(priority_class)


def before_update(new: Obj, old: Obj) -> None:
    generation.bump(new, old)


PRIORITY_CLASS = Resource(
    _INFO,
    columns=columns_of(
        _INFO,
        cells.name,
        cells.value("value", default=0),
        cells.value("globalDefault", default=False),
        cells.age,
        cells.value("preemptionPolicy"),
    ),
    default=default,
    before_create=before_create,
    before_update=before_update,
)
