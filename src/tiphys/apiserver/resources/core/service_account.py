"""ServiceAccount. Upstream: pkg/registry/core/serviceaccount/strategy.go."""

from tiphys.api.meta import Obj
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource

_INFO = built_in("", "v1", "serviceaccounts")


def before_create(account: Obj) -> None:
    """Only names of secrets are kept."""
    for secret in account.get("secrets") or ():
        for field in [f for f in secret if f != "name"]:
            del secret[field]


def before_update(new: Obj, old: Obj) -> None:
    before_create(new)
    del old


SERVICE_ACCOUNT = Resource(
    _INFO,
    before_create=before_create,
    before_update=before_update,
    columns=columns_of(_INFO, cells.name, cells.age),
)
