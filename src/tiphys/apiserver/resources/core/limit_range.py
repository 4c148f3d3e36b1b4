"""LimitRange. Upstream: pkg/registry/core/limitrange."""

from typing import Final

from tiphys.api.meta import Obj, at
from tiphys.api.resources import built_in
from tiphys.apiserver.resources.core import limit_range_rules
from tiphys.apiserver.resources.pod_template import round_up
from tiphys.apiserver.resources.resource import Resource

_INFO = built_in("", "v1", "limitranges")


_AMOUNTS: Final = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")


def default(limit_range: Obj) -> None:
    for item in at(limit_range, "spec", "limits", default=[]):
        for field in _AMOUNTS:
            round_up(item.get(field) or {})
        if item.get("type") != "Container":
            continue
        limits = (item.get("max") or {}) | (item.get("default") or {})
        requests = (item.get("min") or {}) | limits | (item.get("defaultRequest") or {})
        if limits:
            item["default"] = limits
        if requests:
            item["defaultRequest"] = requests


def before_create(limit_range: Obj) -> None:
    """The one kind that needs no name: it is given one that nobody has."""
    metadata = limit_range["metadata"]
    if not metadata.get("name"):
        metadata["name"] = metadata["uid"]


LIMIT_RANGE = Resource(
    _INFO,
    before_create=before_create,
    allow_create_on_update=True,
    validate=limit_range_rules.validate,
    default=default,
)
