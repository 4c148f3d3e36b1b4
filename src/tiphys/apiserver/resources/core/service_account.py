"""ServiceAccount. Upstream: pkg/registry/core/serviceaccount/strategy.go."""

from typing import Final

from tiphys.api.meta import Obj, annotations_of
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


_MOUNTABLE: Final = "kubernetes.io/enforce-mountable-secrets"


def warnings(account: Obj, old: Obj | None) -> list[str]:
    is_old = old is not None and _MOUNTABLE in annotations_of(old)
    if is_old or _MOUNTABLE not in annotations_of(account):
        return []
    text = "prefer separate namespaces to isolate access to mounted secrets"
    return [f"metadata.annotations[{_MOUNTABLE}]: deprecated in v1.32+; {text}"]


SERVICE_ACCOUNT = Resource(
    _INFO,
    before_create=before_create,
    before_update=before_update,
    warnings=warnings,
    columns=columns_of(_INFO, cells.name, cells.age),
)
