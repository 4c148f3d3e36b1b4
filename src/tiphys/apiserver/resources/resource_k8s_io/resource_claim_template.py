"""ResourceClaimTemplate. Upstream: pkg/registry/resource/resourceclaimtemplate."""

from tiphys.api.meta import Obj
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.resource_k8s_io.device_requests import default_claim_spec

_INFO = built_in("resource.k8s.io", "v1", "resourceclaimtemplates")


def default(template: Obj) -> None:
    default_claim_spec(template["spec"]["spec"])


RESOURCE_CLAIM_TEMPLATE = Resource(
    _INFO,
    columns=columns_of(_INFO, cells.name, cells.age),
    default=default,
)
