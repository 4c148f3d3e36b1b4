"""ComponentStatus. Upstream: pkg/registry/core/componentstatus."""

from datetime import datetime
from typing import Any

from tiphys.api.meta import Obj
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells
from tiphys.apiserver.resources.columns import Cell, columns_of
from tiphys.apiserver.resources.resource import Resource

_INFO = built_in("", "v1", "componentstatuses")


def _healthy(field: str) -> Cell:
    def cell(status: Obj, _: datetime) -> Any:
        conditions = status.get("conditions") or ()
        found = next((c for c in conditions if c.get("type") == "Healthy"), None)
        if field == "status":
            if found is None:
                return "Unknown"
            return "Healthy" if found.get("status") == "True" else "Unhealthy"
        return (found or {}).get(field, "")

    return cell


COMPONENT_STATUS = Resource(
    _INFO,
    columns=columns_of(
        _INFO, cells.name, _healthy("status"), _healthy("message"), _healthy("error")
    ),
)
