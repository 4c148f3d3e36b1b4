"""CsiNode. Upstream: pkg/registry/storage/csinode."""

from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.storage import rules

_INFO = built_in("storage.k8s.io", "v1", "csinodes")

CSI_NODE = Resource(
    _INFO,
    validate=rules.csi_node,
    columns=columns_of(_INFO, cells.name, cells.count("spec", "drivers"), cells.age),
)
