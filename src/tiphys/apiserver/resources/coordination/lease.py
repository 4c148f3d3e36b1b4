"""Lease. Upstream: pkg/registry/coordination/lease/strategy.go."""

from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource

_INFO = built_in("coordination.k8s.io", "v1", "leases")

LEASE = Resource(
    _INFO,
    columns=columns_of(_INFO, cells.name, cells.value("spec", "holderIdentity"), cells.age),
    allow_create_on_update=True,
    allow_unconditional_update=False,
)
