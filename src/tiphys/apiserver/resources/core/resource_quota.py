"""ResourceQuota. Upstream: pkg/registry/core/resourcequota."""

from datetime import datetime
from typing import Any

from tiphys.api.meta import Obj
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import Cell, columns_of
from tiphys.apiserver.resources.core import quota_rules
from tiphys.apiserver.resources.resource import Resource

_INFO = built_in("", "v1", "resourcequotas")


def before_create(quota: Obj) -> None:
    quota["status"] = {}


def _usage(*, limits: bool) -> Cell:
    def cell(quota: Obj, _: datetime) -> Any:
        status = quota.get("status") or {}
        used = status.get("used") or {}
        hard = status.get("hard") or {}
        return ", ".join(
            f"{name}: {used.get(name, '0')}/{hard[name]}"
            for name in sorted(hard)
            if name.startswith("limits.") is limits
        )

    return cell


RESOURCE_QUOTA = Resource(
    _INFO,
    validate=quota_rules.validate,
    validate_update=quota_rules.validate_update,
    validate_status_update=quota_rules.validate_status_update,
    columns=columns_of(_INFO, cells.name, _usage(limits=False), _usage(limits=True), cells.age),
    before_create=before_create,
    before_update=generation.keep_status,
    before_status_update=generation.status_updated,
)
