"""ResourceQuota. Upstream: pkg/registry/core/resourcequota."""

from datetime import datetime
from typing import Any

from tiphys.api.meta import Obj, at
from tiphys.api.quantity import of
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import Cell, columns_of
from tiphys.apiserver.resources.core import quota_rules
from tiphys.apiserver.resources.pod_template import round_up
from tiphys.apiserver.resources.resource import Resource

_INFO = built_in("", "v1", "resourcequotas")


def default(quota: Obj) -> None:
    round_up(at(quota, "spec", "hard", default={}))
    for field in ("hard", "used"):
        round_up(at(quota, "status", field, default={}))


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


def quota_warnings(quota: Obj, old: Obj | None) -> list[str]:
    """Of a new one."""
    hard = at(quota, "spec", "hard", default={}) if old is None else {}
    found: list[str] = []
    for name in ("cpu", "memory", "storage", "ephemeral-storage"):
        request, limit = f"requests.{name}", f"limits.{name}"
        if request not in hard and name in {"cpu", "memory"}:
            request = name
        if request in hard and limit in hard and of(hard[limit]) < of(hard[request]):
            shown = f"{request} ({hard[request]}) should be less than {limit} ({hard[limit]})"
            found.append(f"ResourceQuota {shown}")
    return found


RESOURCE_QUOTA = Resource(
    _INFO,
    validate=quota_rules.validate,
    warnings=quota_warnings,
    validate_update=quota_rules.validate_update,
    validate_status_update=quota_rules.validate_status_update,
    columns=columns_of(_INFO, cells.name, _usage(limits=False), _usage(limits=True), cells.age),
    default=default,
    before_create=before_create,
    before_update=generation.keep_status,
    before_status_update=generation.status_updated,
)
