"""LimitRange. Upstream: pkg/registry/core/limitrange."""

from tiphys.api.meta import Obj, at
from tiphys.api.resources import built_in
from tiphys.apiserver.resources.core import limit_range_rules
from tiphys.apiserver.resources.resource import Resource

_INFO = built_in("", "v1", "limitranges")


def default(limit_range: Obj) -> None:
    for item in at(limit_range, "spec", "limits", default=[]):
        if item.get("type") != "Container":
            continue
        limits = (item.get("max") or {}) | (item.get("default") or {})
        requests = (item.get("min") or {}) | limits | (item.get("defaultRequest") or {})
        if limits:
            item["default"] = limits
        if requests:
            item["defaultRequest"] = requests


LIMIT_RANGE = Resource(
    _INFO,
    allow_create_on_update=True,
    validate=limit_range_rules.validate,
    default=default,
)
