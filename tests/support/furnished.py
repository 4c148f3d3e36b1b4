"""Objects in the namespace default, for tests that ask for what is there; most are called `a`."""

import asyncio
from typing import Any, Final

from support.api_server import Api, RunningApiServer

DEFINITION: Final = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {
                    "status": {},
                    "scale": {
                        "specReplicasPath": ".spec.size",
                        "statusReplicasPath": ".status.size",
                    },
                },
                "selectableFields": [{"jsonPath": ".spec.color"}],
                "additionalPrinterColumns": [
                    {"name": "Size", "type": "integer", "jsonPath": ".spec.size"}
                ],
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "size": {"type": "integer", "minimum": 0},
                                    "color": {"type": "string", "pattern": "^[a-z]*$"},
                                    "any": {"x-kubernetes-preserve-unknown-fields": True},
                                },
                            },
                            "status": {
                                "type": "object",
                                "x-kubernetes-preserve-unknown-fields": True,
                            },
                        },
                    }
                },
            }
        ],
    },
}
_POD: Final = {"containers": [{"name": "main", "image": "i", "ports": [{"containerPort": 80}]}]}
_WORKLOAD: Final = {
    "selector": {"matchLabels": {"app": "a"}},
    "template": {"metadata": {"labels": {"app": "a"}}, "spec": _POD},
}
_APPS: Final = "/apis/apps/v1/namespaces/default"
_CORE: Final = "/api/v1/namespaces/default"
_JOB: Final = {"template": {"spec": _POD | {"restartPolicy": "Never"}}}
WIDGETS: Final = "/apis/example.com/v1/namespaces/default/widgets"
THINGS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    (f"{_CORE}/serviceaccounts", {"metadata": {"name": "default"}}),
    (f"{_CORE}/serviceaccounts", {}),
    (f"{_CORE}/configmaps", {"data": {"k": "v"}}),
    (f"{_CORE}/secrets", {"data": {"k": "dg=="}}),
    (f"{_CORE}/pods", {"spec": _POD}),
    (f"{_CORE}/services", {"spec": {"ports": [{"port": 80}]}}),
    (f"{_APPS}/deployments", {"spec": _WORKLOAD}),
    (f"{_APPS}/replicasets", {"spec": _WORKLOAD}),
    (f"{_APPS}/statefulsets", {"spec": _WORKLOAD | {"serviceName": "a"}}),
    (f"{_APPS}/daemonsets", {"spec": _WORKLOAD}),
    ("/api/v1/nodes", {}),
    ("/apis/batch/v1/namespaces/default/jobs", {"spec": _JOB}),
)


async def define_widgets(api: Api) -> None:
    """Return once objects of the kind are served; one is called `a`."""
    await api("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", DEFINITION)
    widget = {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "a"},
        "spec": {"size": 1},
    }
    async with asyncio.timeout(20):
        while (await api("POST", WIDGETS, widget))[0] == 404:  # noqa: ASYNC110 - it is told of
            await asyncio.sleep(0.01)


async def furnish(running: RunningApiServer) -> None:
    """Objects that patches and updates find, and a kind that is defined."""
    api = running.client()
    for path, thing in THINGS:
        status, answer = await api("POST", path, {"metadata": {"name": "a"}} | thing)
        assert status == 201, answer
    await define_widgets(api)
