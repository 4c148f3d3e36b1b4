"""ControllerRevision. Upstream: pkg/registry/apps/controllerrevision."""

from datetime import datetime
from typing import Any

from tiphys.api.field_errors import FieldError, invalid, required
from tiphys.api.meta import Obj, controller_of
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules.texts import IMMUTABLE, NOT_NEGATIVE

_INFO = built_in("apps", "v1", "controllerrevisions")


def _controller(revision: Obj, _: datetime) -> Any:
    owner = controller_of(revision)
    if owner is None:
        return "<none>"
    group = owner.get("apiVersion", "").rpartition("/")[0]
    kind = owner.get("kind", "").lower()
    return f"{kind}.{group}/{owner.get('name')}" if group else f"{kind}/{owner.get('name')}"


def validate(revision: Obj) -> list[FieldError]:
    number = revision.get("revision", 0)
    return [invalid("revision", number, NOT_NEGATIVE)] if number < 0 else []


def validate_create(revision: Obj) -> list[FieldError]:
    if revision.get("data") is None:
        return [required("data", "data is mandatory")]
    if not isinstance(revision["data"], dict):
        return [required("data", "data must be a valid JSON object")]
    return []


def validate_update(new: Obj, old: Obj) -> list[FieldError]:
    if new.get("data") == old.get("data"):
        return []
    return [invalid("data", new.get("data"), IMMUTABLE)]


CONTROLLER_REVISION = Resource(
    _INFO,
    validate=validate,
    validate_create=validate_create,
    validate_update=validate_update,
    columns=columns_of(
        _INFO, cells.name, _controller, cells.value("revision", default=0), cells.age
    ),
)
