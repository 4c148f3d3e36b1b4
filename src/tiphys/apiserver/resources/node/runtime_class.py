"""RuntimeClass. Upstream: pkg/registry/node/runtimeclass."""

from tiphys.api.meta import Obj
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.pod_template import round_up
from tiphys.apiserver.resources.resource import Resource

_INFO = built_in("node.k8s.io", "v1", "runtimeclasses")


def default(runtime_class: Obj) -> None:
    round_up((runtime_class.get("overhead") or {}).get("podFixed") or {})


RUNTIME_CLASS = Resource(
    _INFO,
    columns=columns_of(_INFO, cells.name, cells.value("handler"), cells.age),
    default=default,
)
