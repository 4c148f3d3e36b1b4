"""OpenAPI v3 of metrics.k8s.io/v1beta1, for `kubectl explain` and validation.

Upstream: k8s.io/metrics pkg/client/openapi.
"""

from typing import Final

from tiphys.api.meta import Obj
from tiphys.metrics_server.discovery import GROUP, METRICS_PATH, VERSION

INDEX: Final = "/openapi/v3"
DOCUMENT: Final = f"{INDEX}{METRICS_PATH}"
_PACKAGE: Final = "io.k8s.metrics.pkg.apis.metrics.v1beta1"
_TEXT: Final[Obj] = {"type": "string"}
_TIME: Final[Obj] = {"type": "string", "format": "date-time", "description": "End of the window."}
_WINDOW: Final[Obj] = {
    "type": "string",
    "description": "Usage is of the interval [timestamp-window, timestamp].",
}
_USAGE: Final[Obj] = {
    "type": "object",
    "additionalProperties": {"type": "string"},
    "description": "What is used, as quantities by resource.",
}
_METADATA: Final[Obj] = {"type": "object", "description": "Name, namespace and labels."}


def index() -> Obj:
    return {"paths": {DOCUMENT.removeprefix(f"{INDEX}/"): {"serverRelativeURL": DOCUMENT}}}


def document() -> Obj:
    nodes, pods = f"{METRICS_PATH}/nodes", f"{METRICS_PATH}/namespaces/{{namespace}}/pods"
    paths = {
        nodes: _get("NodeMetricsList", "NodeMetrics", "list"),
        f"{nodes}/{{name}}": _get("NodeMetrics", "NodeMetrics", "get"),
        f"{METRICS_PATH}/pods": _get("PodMetricsList", "PodMetrics", "list"),
        pods: _get("PodMetricsList", "PodMetrics", "list"),
        f"{pods}/{{name}}": _get("PodMetrics", "PodMetrics", "get"),
    }
    return {
        "openapi": "3.0.0",
        "info": {"title": "Tiphys metrics server", "version": VERSION},
        "paths": paths,
        "components": {"schemas": _schemas()},
    }


def _schemas() -> Obj:
    moment = {"timestamp": _TIME, "window": _WINDOW}
    containers = {"type": "array", "items": _reference("ContainerMetrics")}
    container = {"name": _TEXT, "usage": _USAGE}
    found = {
        "NodeMetrics": _kind("NodeMetrics", moment | {"usage": _USAGE}),
        "PodMetrics": _kind("PodMetrics", moment | {"containers": containers}),
        "ContainerMetrics": {"type": "object", "properties": container},
    }
    for kind in ("NodeMetrics", "PodMetrics"):
        items = {"type": "array", "items": _reference(kind)}
        found[f"{kind}List"] = _kind(f"{kind}List", {"items": items})
    return {f"{_PACKAGE}.{name}": schema for name, schema in found.items()}


def _kind(kind: str, fields: Obj) -> Obj:
    return {
        "type": "object",
        "description": f"{kind} of metrics.k8s.io.",
        "properties": {"apiVersion": _TEXT, "kind": _TEXT, "metadata": _METADATA} | fields,
        "x-kubernetes-group-version-kind": [{"group": GROUP, "version": VERSION, "kind": kind}],
    }


def _reference(kind: str) -> Obj:
    return {"$ref": f"#/components/schemas/{_PACKAGE}.{kind}"}


def _get(answer: str, kind: str, action: str) -> Obj:
    content = {"application/json": {"schema": _reference(answer)}}
    return {
        "get": {
            "responses": {"200": {"description": "OK", "content": content}},
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": {"group": GROUP, "version": VERSION, "kind": kind},
        }
    }
