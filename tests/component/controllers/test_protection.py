"""Claims and classes of attributes stay while they are used, and go when they are not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from support.client_rig import Rig, Tell
from tiphys.api.errors import NotFound
from tiphys.api.meta import GroupVersionResource, Obj
from tiphys.client.component import run_controllers
from tiphys.client.rest import Client
from tiphys.controllers import persistent_volume_claim_protection as claims
from tiphys.controllers import volume_attributes_class_protection as classes
from tiphys.controllers.kinds import (
    PERSISTENT_VOLUME_CLAIMS,
    PODS,
    SERVICE_ACCOUNTS,
    VOLUME_ATTRIBUTES_CLASSES,
)
from tiphys.lib.clock import SystemClock
from tiphys.lib.tasks import TaskSet


@asynccontextmanager
async def controlled(rig: Rig) -> AsyncIterator[Client]:
    client, tasks = rig.direct(), TaskSet()
    running = run_controllers(
        client,
        SystemClock(),
        lambda context: [
            claims.PersistentVolumeClaimProtection(context),
            classes.VolumeAttributesClassProtection(context),
        ],
        [],
    )
    tasks.start(running, "controllers")
    try:
        async with asyncio.timeout(20):
            yield client
    finally:
        await tasks.close()


async def make(client: Client) -> None:
    gold = {"metadata": {"name": "gold"}, "driverName": "d.example.com", "parameters": {"a": "b"}}
    await client.create(VOLUME_ATTRIBUTES_CLASSES, gold)
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "volumeAttributesClassName": "gold",
    }
    named = {"name": "c", "namespace": "default"}
    await client.create(PERSISTENT_VOLUME_CLAIMS, {"metadata": named, "spec": spec})
    await protected(client, VOLUME_ATTRIBUTES_CLASSES, "gold", "")


async def protected(client: Client, kind: GroupVersionResource, name: str, namespace: str) -> None:
    while True:
        if (await client.get(kind, name, namespace))["metadata"].get("finalizers"):
            return
        await asyncio.sleep(0.01)


async def gone(client: Client, kind: GroupVersionResource, name: str, namespace: str = "") -> None:
    while True:
        try:
            await client.get(kind, name, namespace)
        except NotFound:
            return
        await asyncio.sleep(0.01)


def a_pod() -> Obj:
    return {
        "metadata": {"name": "p", "namespace": "default"},
        "spec": {
            "nodeName": "n",
            "containers": [{"name": "c", "image": "i"}],
            "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}],
        },
    }


def test_a_claim_goes_with_its_last_pod_and_then_its_class(tell: Tell) -> None:
    async def story(rig: Rig) -> None:
        async with controlled(rig) as client:
            await make(client)
            account = {"metadata": {"name": "default", "namespace": "default"}}
            await client.create(SERVICE_ACCOUNTS, account)
            await client.create(PODS, a_pod())
            await client.delete(PERSISTENT_VOLUME_CLAIMS, "c", "default")
            await client.delete(VOLUME_ATTRIBUTES_CLASSES, "gold")
            await asyncio.sleep(0.3)
            for kind, name, where in (
                (PERSISTENT_VOLUME_CLAIMS, "c", "default"),
                (VOLUME_ATTRIBUTES_CLASSES, "gold", ""),
            ):
                found = await client.get(kind, name, where)
                assert found["metadata"]["deletionTimestamp"]
            await client.delete(PODS, "p", "default", grace_period_seconds=0)
            await gone(client, PERSISTENT_VOLUME_CLAIMS, "c", "default")
            await gone(client, VOLUME_ATTRIBUTES_CLASSES, "gold")

    tell(story)


def test_a_claim_that_waits_for_its_volume_goes_at_once(tell: Tell) -> None:
    async def story(rig: Rig) -> None:
        async with controlled(rig) as client:
            await make(client)
            await client.delete(PERSISTENT_VOLUME_CLAIMS, "c", "default")
            await gone(client, PERSISTENT_VOLUME_CLAIMS, "c", "default")

    tell(story)
