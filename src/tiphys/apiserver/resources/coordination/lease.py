"""Lease. Upstream: pkg/registry/coordination/lease/strategy.go."""

from tiphys.api.field_errors import FieldError, invalid
from tiphys.api.meta import Obj
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules.texts import NOT_NEGATIVE

_INFO = built_in("coordination.k8s.io", "v1", "leases")


def before_create(lease: Obj) -> None:
    """CoordinatedLeaderElection is off: its fields do not exist."""
    lease["spec"].pop("strategy", None)
    lease["spec"].pop("preferredHolder", None)


def before_update(new: Obj, old: Obj) -> None:
    for field in ("strategy", "preferredHolder"):
        if field not in old["spec"]:
            new["spec"].pop(field, None)


def validate(lease: Obj) -> list[FieldError]:
    spec = lease["spec"]
    errors: list[FieldError] = []
    seconds, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    if seconds is not None and seconds <= 0:
        errors.append(invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0"))
    if transitions is not None and transitions < 0:
        errors.append(invalid("spec.leaseTransitions", transitions, NOT_NEGATIVE))
    return errors


LEASE = Resource(
    _INFO,
    before_create=before_create,
    before_update=before_update,
    validate=validate,
    columns=columns_of(_INFO, cells.name, cells.value("spec", "holderIdentity"), cells.age),
    allow_create_on_update=True,
    allow_unconditional_update=False,
)
