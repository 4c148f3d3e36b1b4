"""ApiService. Upstream: kube-aggregator pkg/registry/apiservice."""

from datetime import datetime
from typing import Any

from tiphys.api.meta import Obj, at, condition
from tiphys.api.names import path_segment_name
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.apiregistration import rules
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource

_INFO = built_in("apiregistration.k8s.io", "v1", "apiservices")


def default(api_service: Obj) -> None:
    service = at(api_service, "spec", "service")
    if service is not None:
        service.setdefault("port", 443)
    api_service.setdefault("status", {})


def before_create(api_service: Obj) -> None:
    """One that no service stands behind is served here and so available at once."""
    api_service["status"] = {}
    if at(api_service, "spec", "service") is None:
        api_service["status"]["conditions"] = [
            {
                "type": "Available",
                "status": "True",
                "lastTransitionTime": api_service["metadata"].get("creationTimestamp"),
                "reason": "Local",
                "message": "Local APIServices are always available",
            }
        ]


def _service(api_service: Obj, _: datetime) -> Any:
    service = at(api_service, "spec", "service")
    if service is None:
        return "Local"
    return f"{service.get('namespace', '')}/{service.get('name', '')}"


def _available(api_service: Obj, _: datetime) -> Any:
    found = condition(api_service, "Available")
    if found is None:
        return "Unknown"
    text = found.get("status", "Unknown")
    return text if text == "True" else f"{text} ({found.get('reason', '')})"


API_SERVICE = Resource(
    _INFO,
    validate=rules.validate,
    validate_name=path_segment_name,
    has_status_table=False,
    columns=columns_of(_INFO, cells.name, _service, _available, cells.age),
    default=default,
    before_create=before_create,
    before_update=generation.keep_status,
    before_status_update=generation.status_alone_updated,
    validate_status_update=rules.validate_status_update,
)
