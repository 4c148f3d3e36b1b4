"""Role. Upstream: pkg/registry/rbac/role."""

from tiphys.api.names import path_segment_name
from tiphys.api.resources import built_in
from tiphys.apiserver.resources.rbac import rules
from tiphys.apiserver.resources.resource import Resource

_INFO = built_in("rbac.authorization.k8s.io", "v1", "roles")

ROLE = Resource(
    _INFO,
    allow_create_on_update=True,
    validate=rules.role,
    validate_name=path_segment_name,
)
