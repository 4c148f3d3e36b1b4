"""The cloud's controllers with a real API server and Libcloud's drivers in memory."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from libcloud.compute.types import NodeState

from conformance.cloud.test_provider import Cloud, a_libcloud
from support.client_rig import Rig, Tell
from tiphys.api.errors import NotFound
from tiphys.api.meta import Obj, at, condition, labels_of, metadata
from tiphys.client.component import run_controllers
from tiphys.client.rest import Client
from tiphys.cloud.config import CloudConfig
from tiphys.cloud.kinds import NODES, SERVICES
from tiphys.cloud.node import UNINITIALIZED
from tiphys.cloud.node_lifecycle import SHUTDOWN
from tiphys.cloud.run import controllers
from tiphys.cloud.service import FINALIZER
from tiphys.lib.clock import SystemClock
from tiphys.lib.tasks import TaskSet


async def until(check: Callable[[], Awaitable[Any]]) -> Any:
    while True:
        if found := await check():
            return found
        await asyncio.sleep(0.02)


@asynccontextmanager
async def running(rig: Rig, cloud: Cloud, *, balances: bool = True) -> AsyncIterator[Client]:
    config = CloudConfig(Path("unused"), cluster_cidr="10.244.0.0/16", balances=balances)
    admin, tasks = rig.direct(), TaskSet()
    work = run_controllers(
        admin, SystemClock(), lambda context: controllers(context, config, cloud.provider), []
    )
    tasks.start(work, "cloud controllers")
    try:
        yield admin
    finally:
        await tasks.close()


def a_node(name: str, *, ready: bool = True, taints: tuple[str, ...] = ()) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name},
        "spec": {
            "podCIDR": "10.244.1.0/24",
            "podCIDRs": ["10.244.1.0/24"],
            "taints": [{"key": key, "effect": "NoSchedule"} for key in taints],
        },
        "status": {
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
        },
    }


def a_service(name: str) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
    }


def taints_of(node: Obj) -> set[str]:
    return {t["key"] for t in at(node, "spec", "taints", default=[])}


def test_a_node_is_completed_and_its_pods_are_routed(tell: Tell, tmp_path: Path) -> None:
    cloud = a_libcloud(tmp_path)

    async def story(rig: Rig) -> None:
        async with running(rig, cloud) as admin:
            await admin.create(NODES, a_node("dummy-1", taints=(UNINITIALIZED,)), "")

            async def complete() -> Obj | None:
                node = await admin.get(NODES, "dummy-1")
                return node if UNINITIALIZED not in taints_of(node) else None

            node = await until(complete)
            assert node["spec"]["providerID"].startswith("libcloud://")
            types = {a["type"] for a in node["status"]["addresses"]}
            assert types == {"ExternalIP"}, "the dummy has no internal address"
            assert labels_of(node).keys() >= set()

    tell(story)


def test_routes_are_made_for_nodes(tell: Tell, tmp_path: Path) -> None:
    cloud = a_libcloud(tmp_path)

    async def story(rig: Rig) -> None:
        # No machine of the cloud's: its address stays, and it is Ready, so the Node stays too.
        await rig.direct().create(NODES, a_node("elsewhere"), "")
        async with running(rig, cloud) as admin:

            async def told() -> bool:
                node = await admin.get(NODES, "elsewhere")
                return (condition(node, "NetworkUnavailable") or {}).get("status") == "False"

            await until(told)
            found = await cloud.routes.list()
            assert [(r.cidr, r.next_hop) for r in found] == [("10.244.1.0/24", "10.0.0.1")]

    tell(story)


def test_nodes_without_a_machine_go_and_those_of_stopped_ones_are_marked(
    tell: Tell, tmp_path: Path
) -> None:
    cloud = a_libcloud(tmp_path)

    async def story(rig: Rig) -> None:
        driver = cloud.instances._driver  # type: ignore[attr-defined]
        machine = next(n for n in driver.list_nodes() if n.name == "dummy-2")
        machine.state = NodeState.STOPPED  # The dummy's own record: it has no call for it.
        admin = rig.direct()
        await admin.create(NODES, a_node("nobody", ready=False), "")
        await admin.create(NODES, a_node("dummy-2", ready=False), "")
        await admin.create(NODES, a_node("alive"), "")
        async with running(rig, cloud):

            async def gone() -> bool:
                try:
                    await admin.get(NODES, "nobody")
                except NotFound:
                    return True
                return False

            async def marked() -> bool:
                return SHUTDOWN in taints_of(await admin.get(NODES, "dummy-2"))

            await until(gone)
            await until(marked)
            assert await admin.get(NODES, "alive")

    tell(story)


def test_switched_off_new_services_wait_and_old_ones_keep_their_address(
    tell: Tell, tmp_path: Path
) -> None:
    cloud = a_libcloud(tmp_path)

    async def story(rig: Rig) -> None:
        admin = rig.direct()

        async def ingress(name: str) -> list[Obj]:
            found = await admin.get(SERVICES, name, "default")
            given: list[Obj] = at(found, "status", "loadBalancer", "ingress", default=[])
            return given

        await admin.create(SERVICES, a_service("before"), "default")
        async with running(rig, cloud):
            given = await until(lambda: ingress("before"))
        await admin.create(SERVICES, a_service("after"), "default")
        async with running(rig, cloud, balances=False):
            await admin.create(SERVICES, a_service("ended"), "default")
            await admin.delete(SERVICES, "before", "default")

            async def gone() -> bool:
                return not cloud.balancers.list_balancers()

            await until(gone)  # Off, it still takes back what was given.
            after = await admin.get(SERVICES, "after", "default")
            assert await ingress("after") == []
            assert FINALIZER not in (metadata(after).get("finalizers") or [])
        async with running(rig, cloud):
            assert await until(lambda: ingress("after"))
        assert given

    tell(story)
