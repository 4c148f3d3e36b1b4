"""The controller's loop on a real API server, with the addon's rights and no others."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop

from support.client_rig import Rig, rig
from support.ingress_lab import HttpBackend, Lab, lab, number, serial
from support.waiting import until
from tiphys.api.meta import GroupVersionResource, Obj, at
from tiphys.client.rest import Client
from tiphys.cluster.ingress import manifests
from tiphys.ingress.certificates import fake_certificate
from tiphys.ingress.config import IngressConfig
from tiphys.ingress.controller import INGRESSES, SECRETS, SERVICES, SLICES, IngressController
from tiphys.ingress.data_plane import DataPlane
from tiphys.ingress.table import Location, Plan
from tiphys.lib.clock import SystemClock

EVENTS = GroupVersionResource("", "v1", "events")
ADDRESS = "192.0.2.1"
POD = "192.0.2.10"  # The API takes no endpoint on the loopback: the test's are told apart here.


class Near:
    """A data plane to which POD is this machine."""

    def __init__(self, plane: DataPlane) -> None:
        self.start, self.ended, self.close = plane.start, plane.ended, plane.close
        self._plane = plane

    async def apply(self, plan: Plan) -> None:
        hosts = {
            name: replace(host, locations=tuple(map(self._near, host.locations)))
            for name, host in plan.hosts.items()
        }
        await self._plane.apply(Plan(hosts))

    def _near(self, location: Location) -> Location:
        backend = location.backend
        near = tuple(e._replace(address="127.0.0.1") for e in backend.endpoints)
        assert {e.address for e in backend.endpoints} <= {POD}
        return replace(location, backend=replace(backend, endpoints=near))


class Story:
    def __init__(self, admin: Client, one: Lab) -> None:
        self.admin = admin
        self.lab = one

    async def ingress(self, name: str, host: str, service: str, **spec: Any) -> None:
        path = {
            "path": "/",
            "pathType": "Prefix",
            "backend": {"service": {"name": service, "port": {"number": 80}}},
        }
        rules = [{"host": host, "http": {"paths": [path]}}]
        meta = {"name": name, "namespace": "default"}
        await self.admin.create(INGRESSES, {"metadata": meta, "spec": {"rules": rules, **spec}})

    async def service(self, name: str, port: int) -> None:
        meta: Obj = {"name": name, "namespace": "default"}
        await self.admin.create(SERVICES, {"metadata": meta, "spec": {"ports": [{"port": 80}]}})
        labels = {"kubernetes.io/service-name": name}
        one = {
            "metadata": {**meta, "labels": labels},
            "addressType": "IPv4",
            "ports": [{"name": "", "port": port}],
            "endpoints": [{"addresses": [POD], "conditions": {"ready": True}}],
        }
        await self.admin.create(SLICES, one)

    async def shown(self, name: str) -> list[Obj]:
        found = await self.admin.get(INGRESSES, name, "default")
        return list(at(found, "status", "loadBalancer", "ingress", default=[]))

    async def reasons(self, name: str) -> set[str]:
        found = (await self.admin.list(EVENTS, "default"))["items"]
        return {e["reason"] for e in found if e["involvedObject"]["name"] == name}


@asynccontextmanager
async def told(made: Rig) -> AsyncIterator[Story]:
    """The controller at work, as the account of the addon."""
    admin = made.direct()
    for path, obj in manifests.manifests():
        await admin.request("POST", path, obj)
    certificate, key = made.authority.issue("ingress", common_name=manifests.USER)
    own = made.with_certificate(certificate.read_bytes() + key.read_bytes())
    config = IngressConfig(Path("/nowhere"), ADDRESS, Path("/nowhere"), patience_seconds=0.3)
    async with lab("builtin") as one:
        working = asyncio.create_task(
            IngressController(own, config, Near(one.plane), SystemClock()).run()
        )
        try:
            yield Story(admin, one)
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)


def test_an_ingress_is_served_published_and_told_of(tmp_path: Path) -> None:
    async def story(one: Story) -> None:
        backend = await HttpBackend.start("b")
        await one.ingress("i", "a.test", "web")
        assert (await one.admin.get(INGRESSES, "i", "default"))["spec"]["ingressClassName"] == (
            "nginx"
        )

        async def status() -> int:
            return (await one.lab.get("/")).status

        async def is_published() -> bool:
            return await one.shown("i") == [{"ip": ADDRESS}]

        async def has_event() -> bool:
            return {"Sync", "ServiceNotFound"} <= await one.reasons("i")

        async def answers() -> bool:
            return await status() == 200

        await until(is_published)
        await until(has_event)
        assert await status() == 503
        await one.service("web", backend.port)
        await until(answers)
        await one.admin.delete(INGRESSES, "i", "default")

        async def is_gone() -> bool:
            return await status() == 404

        await until(is_gone)

    run(tmp_path, story)


def test_a_secret_that_comes_and_changes(tmp_path: Path) -> None:
    async def story(one: Story) -> None:
        backend = await HttpBackend.start("b")
        await one.service("web", backend.port)
        tls = [{"hosts": ["ingress.local"], "secretName": "pair"}]
        await one.ingress("i", "ingress.local", "web", tls=tls)

        async def is_missed() -> bool:
            return "SecretNotFound" in await one.reasons("i")

        await until(is_missed)
        for first in (True, False):
            made = fake_certificate(datetime.now(UTC))
            data = {"tls.crt": made.chain, "tls.key": made.key}
            encoded = {k: base64.b64encode(v).decode() for k, v in data.items()}
            if first:
                meta = {"name": "pair", "namespace": "default"}
                secret = {"metadata": meta, "type": "kubernetes.io/tls", "data": encoded}
                await one.admin.create(SECRETS, secret)
            else:
                await one.admin.patch(SECRETS, "pair", {"data": encoded}, "default", kind="merge")
            wanted = number(made)

            async def is_shown(wanted: int = wanted) -> bool:
                return await serial(one.lab, "ingress.local") == wanted

            await until(is_shown)
        assert (await one.lab.get("/", "ingress.local")).status == 308

    run(tmp_path, story)


def test_ingresses_of_others_are_left_alone(tmp_path: Path) -> None:
    async def story(one: Story) -> None:
        await one.ingress("theirs", "b.test", "web", ingressClassName="other")
        await one.ingress("ours", "a.test", "web")

        async def is_published() -> bool:
            return await one.shown("ours") == [{"ip": ADDRESS}]

        await until(is_published)
        assert await one.shown("theirs") == []
        assert (await one.lab.get("/", "b.test")).status == 404

    run(tmp_path, story)


def run(directory: Path, story: Any) -> None:
    async def whole() -> None:
        async with rig(directory) as made, told(made) as one:
            await story(one)

    uvloop.run(whole())
