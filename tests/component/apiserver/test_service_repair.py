"""A server with another range of node ports tells of Services that have one of the old range."""

from pathlib import Path

import uvloop

from support.api_server import memory_backend, start
from support.waiting import until
from tiphys.api.meta import Obj
from tiphys.apiserver.announcement import announced

SERVICES = "/api/v1/namespaces/default/services"
EVENTS = "/api/v1/namespaces/default/events"


def test_a_port_of_no_range(tmp_path: Path) -> None:
    async def story() -> None:
        backend = memory_backend()
        before, listening = await start(tmp_path / "before", backend)
        spec = {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30001}]}
        await before.client()("POST", SERVICES, {"metadata": {"name": "a"}, "spec": spec})
        await listening.__aexit__()
        running, listening = await start(tmp_path / "after", backend, node_ports=(31000, 31999))
        api = running.client()

        async def events() -> list[Obj]:
            items: list[Obj] = (await api("GET", EVENTS))[1]["items"]
            return items

        async def is_told() -> bool:
            return bool(await events())

        for _ in range(2):  # A second look, or another server's, adds nothing.
            async with announced(running.server.config, running.server):
                await until(is_told)
        [event] = await events()
        assert event["message"] == (
            "Port 30001 is not within the port range 31000-31999; please recreate service"
        )
        assert event["involvedObject"]["name"] == "a"
        assert (event["reason"], event["action"]) == ("PortOutOfRange", "PortAllocation")
        assert event["reportingComponent"] == "portallocator-repair-controller"
        # It is as valid as a client's, in the other group too.
        await api("DELETE", f"{EVENTS}/{event['metadata']['name']}")
        del event["metadata"]["resourceVersion"]
        assert (await api("POST", EVENTS, event))[0] == 201
        other = "/apis/events.k8s.io/v1/namespaces/default/events"
        assert [e["note"] for e in (await api("GET", other))[1]["items"]] == [event["message"]]
        await listening.__aexit__()

    uvloop.run(story())
