"""The clients of the field at work: create, watch, patch, apply, logs, kinds that are defined.

Each does the same to a cluster of simulated nodes; an operator runs with finalizers and timers.
"""

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import kopf
import kr8s
import kr8s.asyncio
import pytest
from kr8s.objects import ConfigMap as Kr8sMap
from kr8s.objects import Pod as Kr8sPod
from kr8s.objects import new_class
from kubernetes import client as official
from kubernetes import config as official_config
from kubernetes import dynamic, watch
from kubernetes_asyncio import client as asynchronous
from kubernetes_asyncio import config as asynchronous_config
from kubernetes_asyncio import watch as asynchronous_watch
from lightkube import Client, KubeConfig
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.core_v1 import Container, PodSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apiextensions_v1 import CustomResourceDefinition
from lightkube.resources.core_v1 import ConfigMap, Pod
from lightkube.types import PatchType

from tiphys.testing import Cluster

LOG = {"testing.tiphys.io/log": "hello"}
POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "annotations": LOG},
    "spec": {"containers": [{"name": "c", "image": "i"}]},
}
MAP: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "m"},
    "data": {"a": "1"},
}
APPLIED: dict[str, Any] = MAP | {"data": {"applied": "yes"}}
DEFINITION: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "gears.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "gears", "singular": "gear", "kind": "Gear"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {"teeth": {"type": "integer", "default": 12}},
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
GEAR: dict[str, Any] = {
    "apiVersion": "example.com/v1",
    "kind": "Gear",
    "metadata": {"name": "g"},
    "spec": {},
}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster() as running:
        yield running


def defined(cluster: Cluster) -> None:
    """The clients ask once: what they then find has to be there."""
    cluster.wait_for("crd/gears.example.com", "Established")


def with_official(cluster: Cluster) -> None:
    api_client = official_config.new_client_from_config(str(cluster.kubeconfig))
    core = official.CoreV1Api(api_client)
    made = core.create_namespaced_config_map("default", MAP)
    core.patch_namespaced_config_map("m", "default", {"data": {"b": "2"}})
    since = made.metadata.resource_version
    stream = watch.Watch().stream(
        core.list_namespaced_config_map, "default", resource_version=since, timeout_seconds=20
    )
    assert next(stream)["object"].data == {"a": "1", "b": "2"}
    maps = dynamic.DynamicClient(api_client).resources.get(api_version="v1", kind="ConfigMap")
    found = maps.server_side_apply(APPLIED, namespace="default", field_manager="o")
    assert found.data["applied"] == "yes"
    core.create_namespaced_pod("default", POD)
    cluster.wait_for("pod/p", "Ready")
    assert core.read_namespaced_pod_log("p", "default") == "hello\n"
    official.ApiextensionsV1Api(api_client).create_custom_resource_definition(DEFINITION)
    defined(cluster)
    custom = official.CustomObjectsApi(api_client)
    gear = custom.create_namespaced_custom_object("example.com", "v1", "default", "gears", GEAR)
    assert gear["spec"] == {"teeth": 12}


def with_kubernetes_asyncio(cluster: Cluster) -> None:
    async def story() -> None:
        api_client = await asynchronous_config.new_client_from_config(str(cluster.kubeconfig))
        try:
            await steps(api_client)
        finally:
            await api_client.close()

    async def steps(api_client: Any) -> None:
        core = asynchronous.CoreV1Api(api_client)
        made = await core.create_namespaced_config_map("default", MAP)
        await core.patch_namespaced_config_map("m", "default", {"data": {"b": "2"}})
        since = made.metadata.resource_version
        follower = asynchronous_watch.Watch()
        stream = follower.stream(
            core.list_namespaced_config_map, "default", resource_version=since, timeout_seconds=20
        )
        async for event in stream:
            assert event["object"].data == {"a": "1", "b": "2"}
            break
        await follower.close()
        found = await core.patch_namespaced_config_map(
            "m", "default", APPLIED, field_manager="k", _content_type="application/apply-patch+yaml"
        )
        assert found.data["applied"] == "yes"
        await core.create_namespaced_pod("default", POD)
        await asyncio.to_thread(cluster.wait_for, "pod/p", "Ready")
        assert await core.read_namespaced_pod_log("p", "default") == "hello\n"
        extensions = asynchronous.ApiextensionsV1Api(api_client)
        await extensions.create_custom_resource_definition(DEFINITION)
        await asyncio.to_thread(defined, cluster)
        custom = asynchronous.CustomObjectsApi(api_client)
        gear = await custom.create_namespaced_custom_object(
            "example.com", "v1", "default", "gears", GEAR
        )
        assert gear["spec"] == {"teeth": 12}

    asyncio.run(story())


def with_lightkube(cluster: Cluster) -> None:
    config = KubeConfig.from_file(str(cluster.kubeconfig))
    client = Client(config, field_manager="l")
    made = client.create(ConfigMap(metadata=ObjectMeta(name="m"), data={"a": "1"}))
    client.patch(ConfigMap, "m", {"data": {"b": "2"}}, patch_type=PatchType.MERGE)
    assert made.metadata is not None
    since = made.metadata.resourceVersion
    _, changed = next(iter(client.watch(ConfigMap, resource_version=since)))
    assert changed.data == {"a": "1", "b": "2"}
    wanted = ConfigMap(metadata=ObjectMeta(name="m"), data={"applied": "yes"})
    assert client.apply(wanted).data["applied"] == "yes"
    spec = PodSpec(containers=[Container(name="c", image="i")])
    client.create(Pod(metadata=ObjectMeta(name="p", annotations=LOG), spec=spec))
    cluster.wait_for("pod/p", "Ready")
    assert [line.rstrip("\n") for line in client.log("p")] == ["hello"]
    client.create(CustomResourceDefinition.from_dict(DEFINITION))
    defined(cluster)
    gears = create_namespaced_resource("example.com", "v1", "Gear", "gears")
    assert client.create(gears.from_dict(GEAR))["spec"] == {"teeth": 12}


def with_kr8s(cluster: Cluster) -> None:
    api = kr8s.api(kubeconfig=str(cluster.kubeconfig))
    made = Kr8sMap(MAP, api=api)
    made.create()
    seen: list[str] = []
    for kind, obj in api.watch("configmaps", namespace="default"):
        if obj.name == "m" and kind == "ADDED" and not seen:
            made.patch({"data": {"b": "2"}})
        if obj.name == "m":
            seen.append(kind)
        if kind == "MODIFIED":
            assert dict(obj.data) == {"a": "1", "b": "2"}
            break
    assert seen == ["ADDED", "MODIFIED"]
    asyncio.run(applied_with_kr8s(cluster))
    made.refresh()
    assert dict(made.data) == {"a": "1", "b": "2", "applied": "yes"}
    pod = Kr8sPod(POD, api=api)
    pod.create()
    pod.wait("condition=Ready", timeout=20)
    assert list(pod.logs()) == ["hello"]
    definition = new_class("CustomResourceDefinition", "apiextensions.k8s.io/v1", namespaced=False)
    definition(DEFINITION, api=api).create()
    defined(cluster)
    gear = new_class("Gear", "example.com/v1", namespaced=True)(GEAR, api=api)
    gear.create()
    gear.refresh()
    assert dict(gear.spec) == {"teeth": 12}


async def applied_with_kr8s(cluster: Cluster) -> None:
    """It has no method for it: its own call of the API."""
    api = await kr8s.asyncio.api(kubeconfig=str(cluster.kubeconfig))
    async with api.call_api(
        "PATCH",
        namespace="default",
        url="configmaps/m",
        params={"fieldManager": "k"},
        content=json.dumps(APPLIED),
        headers={"Content-Type": "application/apply-patch+yaml"},
    ) as answer:
        managers = {
            e["manager"]: e["operation"] for e in answer.json()["metadata"]["managedFields"]
        }
    assert managers["k"] == "Apply"


@pytest.mark.parametrize(
    "work", [with_official, with_kubernetes_asyncio, with_lightkube, with_kr8s]
)
def test_a_client_works(cluster: Cluster, work: Callable[[Cluster], None]) -> None:
    work(cluster)
    found = cluster.objects.get("configmap", "m")
    assert found["data"]["b"] == "2"
    assert cluster.objects.get("gears.example.com", "g")["metadata"]["uid"]


registry = kopf.OperatorRegistry()
unmade: list[str] = []


def login(**kwargs: Any) -> Any:
    return kopf.login_with_kubeconfig(**kwargs)


def made(spec: Any, patch: Any, **_: Any) -> None:
    patch.status["seen"] = spec["teeth"]


def gone(name: str, **_: Any) -> None:
    unmade.append(name)


def ticks(status: Any, patch: Any, **_: Any) -> None:
    patch.status["ticks"] = status.get("ticks", 0) + 1


KIND = ("example.com", "v1", "gears")
# Decorators without types, as functions.
kopf.on.login(registry=registry)(login)
kopf.on.create(*KIND, registry=registry)(made)
kopf.on.delete(*KIND, registry=registry)(gone)
kopf.timer(*KIND, interval=0.1, registry=registry)(ticks)


@contextlib.contextmanager
def operator() -> Iterator[None]:
    stop, ready = threading.Event(), threading.Event()

    def run() -> None:
        running = kopf.operator(
            registry=registry,
            namespaces=["default"],
            standalone=True,
            stop_flag=stop,
            ready_flag=ready,
        )
        asyncio.run(running)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        assert ready.wait(20)
        yield
    finally:
        stop.set()
        thread.join(20)


def test_an_operator_with_finalizers_and_timers(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    cluster.objects.create(DEFINITION)
    defined(cluster)
    with operator():
        cluster.objects.create(GEAR)
        cluster.wait_for(
            "gears.example.com/g", lambda gear: gear.get("status", {}).get("seen") == 12
        )
        cluster.wait_for(
            "gears.example.com/g", lambda gear: gear.get("status", {}).get("ticks", 0) >= 3
        )
        assert cluster.objects.get("gears.example.com", "g")["metadata"]["finalizers"] == [
            "kopf.zalando.org/KopfFinalizerMarker"
        ]
        cluster.objects.delete("gears.example.com", "g")
        cluster.wait_for("gears.example.com/g", "deleted")
    assert unmade == ["g"]
