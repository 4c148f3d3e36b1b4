"""ConfigMap. Upstream: pkg/registry/core/configmap/strategy.go."""

from datetime import datetime
from typing import Any

from tiphys.api.meta import Obj
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.core import data_rules
from tiphys.apiserver.resources.resource import Resource

_INFO = built_in("", "v1", "configmaps")


def _count(config_map: Obj, _: datetime) -> Any:
    return len(config_map.get("data") or ()) + len(config_map.get("binaryData") or ())


CONFIG_MAP = Resource(
    _INFO,
    validate=data_rules.config_map,
    validate_update=data_rules.config_map_update,
    update_order=("meta", "change", "whole"),
    columns=columns_of(_INFO, cells.name, _count, cells.age),
)
