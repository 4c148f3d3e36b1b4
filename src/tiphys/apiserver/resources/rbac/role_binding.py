"""RoleBinding. Upstream: pkg/registry/rbac/rolebinding."""

from tiphys.api.names import path_segment_name
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.rbac import rules
from tiphys.apiserver.resources.rbac.subjects import default_binding, names, role
from tiphys.apiserver.resources.resource import Resource

_INFO = built_in("rbac.authorization.k8s.io", "v1", "rolebindings")

ROLE_BINDING = Resource(
    _INFO,
    allow_create_on_update=True,
    validate=rules.role_binding,
    validate_update=rules.binding_update,
    columns=columns_of(
        _INFO, cells.name, role, cells.age, names("User"), names("Group"), names("ServiceAccount")
    ),
    default=default_binding,
    validate_name=path_segment_name,
)
