"""FlowSchema. Upstream: pkg/registry/flowcontrol/flowschema."""

from datetime import datetime
from typing import Any

from tiphys.api.meta import Obj, condition
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.flowcontrol import flow_schema_rules
from tiphys.apiserver.resources.flowcontrol.mandatory import condition_errors
from tiphys.apiserver.resources.resource import Resource

_INFO = built_in("flowcontrol.apiserver.k8s.io", "v1", "flowschemas")


def default(flow_schema: Obj) -> None:
    spec = flow_schema["spec"]
    spec["matchingPrecedence"] = spec.get("matchingPrecedence") or 1000
    flow_schema.setdefault("status", {})


def _missing(flow_schema: Obj, _: datetime) -> Any:
    return (condition(flow_schema, "Dangling") or {}).get("status", "?")


def _precedence(flow_schema: Obj) -> tuple[int, str]:
    """As they are asked. Upstream: FlowSchemaSequence."""
    spec, metadata = flow_schema.get("spec") or {}, flow_schema["metadata"]
    return spec.get("matchingPrecedence", 0), metadata.get("name", "")


FLOW_SCHEMA = Resource(
    _INFO,
    validate=flow_schema_rules.validate,
    columns=columns_of(
        _INFO,
        cells.name,
        cells.value("spec", "priorityLevelConfiguration", "name"),
        cells.value("spec", "matchingPrecedence", default=0),
        cells.value("spec", "distinguisherMethod", "type", default="<none>"),
        cells.age,
        _missing,
    ),
    table_order=_precedence,
    default=default,
    before_create=generation.created({}),
    before_update=generation.updated,
    before_status_update=generation.status_alone_updated,
    validate_status_update=condition_errors,
)
