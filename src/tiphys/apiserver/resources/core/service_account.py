"""ServiceAccount. Upstream: pkg/registry/core/serviceaccount/strategy.go."""

from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource

_INFO = built_in("", "v1", "serviceaccounts")

SERVICE_ACCOUNT = Resource(_INFO, columns=columns_of(_INFO, cells.name, cells.age))
