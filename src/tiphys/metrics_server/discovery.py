"""What the metrics server says it serves. Upstream: apiserver pkg/endpoints/discovery."""

from typing import Final

from tiphys.api.meta import Obj
from tiphys.metrics_server.objects import API_VERSION

GROUP: Final = "metrics.k8s.io"
VERSION: Final = "v1beta1"
METRICS_PATH: Final = f"/apis/{API_VERSION}"


def resource_list() -> Obj:
    """`/apis/metrics.k8s.io/v1beta1`"""
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": API_VERSION,
        "resources": [
            _resource("nodes", "NodeMetrics", namespaced=False),
            _resource("pods", "PodMetrics", namespaced=True),
        ],
    }


def _resource(plural: str, kind: str, *, namespaced: bool) -> Obj:
    return {
        "name": plural,
        "singularName": "",
        "namespaced": namespaced,
        "kind": kind,
        "verbs": ["get", "list"],
    }


def group(name: str = GROUP, version: str = VERSION) -> Obj:
    served = {"groupVersion": f"{name}/{version}", "version": version}
    return {
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": name,
        "versions": [served],
        "preferredVersion": served,
    }


def group_list(groups: list[Obj]) -> Obj:
    """`/apis`"""
    bare = [{k: v for k, v in g.items() if k not in {"kind", "apiVersion"}} for g in groups]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": bare}
