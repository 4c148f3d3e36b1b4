"""ControllerRevision. Upstream: pkg/registry/apps/controllerrevision."""

from datetime import datetime
from typing import Any

from tiphys.api.meta import Obj, controller_of
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource

_INFO = built_in("apps", "v1", "controllerrevisions")


def _controller(revision: Obj, _: datetime) -> Any:
    owner = controller_of(revision)
    if owner is None:
        return "<none>"
    group = owner.get("apiVersion", "").rpartition("/")[0]
    kind = owner.get("kind", "").lower()
    return f"{kind}.{group}/{owner.get('name')}" if group else f"{kind}/{owner.get('name')}"


CONTROLLER_REVISION = Resource(
    _INFO,
    columns=columns_of(
        _INFO, cells.name, _controller, cells.value("revision", default=0), cells.age
    ),
)
