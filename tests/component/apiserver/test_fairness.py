"""Priority and fairness of a server under load: one user's flood, everybody else's requests."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import uvloop

from support.api_server import Api, RunningApiServer, start
from support.waiting import until
from tiphys.lib.clock import SystemClock
from tiphys.lib.http.client import Answer
from tiphys.storage.memory import MemoryBackend

FLOW = "/apis/flowcontrol.apiserver.k8s.io/v1"
MAPS = "/api/v1/namespaces/default/configmaps"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
GREEDY = {"impersonate-user": "greedy"}
NODE = {"impersonate-user": "system:node:n1", "impersonate-group": "system:nodes"}


class HeldBackend(MemoryBackend):
    """Writes of ConfigMaps named `held...` wait until the gate opens."""

    def __init__(self) -> None:
        super().__init__(SystemClock())
        self.gate = asyncio.Event()
        self.held = 0

    async def create(self, key: str, value: bytes, *, ttl_seconds: int = 0) -> int:
        if "/held" in key:
            self.held += 1
            await self.gate.wait()
        return await super().create(key, value, ttl_seconds=ttl_seconds)


def level(queuing: dict[str, int] | None) -> dict[str, Any]:
    """One seat, which is all it can have."""
    response: dict[str, Any] = {"type": "Queue", "queuing": queuing} if queuing else {}
    limited = {
        "nominalConcurrencyShares": 0,
        "borrowingLimitPercent": 0,
        "limitResponse": response or {"type": "Reject"},
    }
    return {"metadata": {"name": "narrow"}, "spec": {"type": "Limited", "limited": limited}}


SCHEMA = {
    "metadata": {"name": "greedy"},
    "spec": {
        "matchingPrecedence": 50,
        "priorityLevelConfiguration": {"name": "narrow"},
        "distinguisherMethod": {"type": "ByUser"},
        "rules": [
            {
                "subjects": [
                    {"kind": "User", "user": {"name": "greedy"}},
                    {"kind": "User", "user": {"name": "modest"}},
                ],
                "resourceRules": [
                    {
                        "verbs": ["*"],
                        "apiGroups": ["*"],
                        "resources": ["*"],
                        "namespaces": ["*"],
                        "clusterScope": True,
                    }
                ],
            }
        ],
    },
}
Story = Callable[[RunningApiServer, HeldBackend, Api], Coroutine[Any, Any, None]]


def with_server(directory: Path, story: Story, queuing: dict[str, int] | None) -> None:
    async def whole() -> None:
        backend = HeldBackend()
        running, listening = await start(directory, backend)
        api = running.client()
        try:
            async with asyncio.timeout(40):
                code, _ = await api("POST", f"{FLOW}/prioritylevelconfigurations", level(queuing))
                assert code == 201
                assert (await api("POST", f"{FLOW}/flowschemas", SCHEMA))[0] == 201
                for name in ("greedy", "modest"):
                    await api(
                        "POST",
                        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
                        {
                            "metadata": {"name": name},
                            "roleRef": {
                                "apiGroup": "rbac.authorization.k8s.io",
                                "kind": "ClusterRole",
                                "name": "cluster-admin",
                            },
                            "subjects": [{"kind": "User", "name": name}],
                        },
                    )
                await story(running, backend, api)
        finally:
            backend.gate.set()
            await listening.__aexit__()

    uvloop.run(whole())


async def create(api: Api, name: str, user: dict[str, str]) -> int:
    return (await api("POST", MAPS, {"metadata": {"name": name}}, headers=user))[0]


async def get(api: Api, path: str, user: dict[str, str]) -> Answer:
    return await api.http.request("GET", path, headers=user)


def page_line(page: bytes, start: str) -> float:
    lines = [line for line in page.decode().splitlines() if line.startswith(start)]
    return float(lines[0].rpartition(" ")[2]) if lines else 0.0


def test_without_a_seat_who_asks_is_told_to_come_again(tmp_path: Path) -> None:
    async def story(running: RunningApiServer, backend: HeldBackend, api: Api) -> None:
        tasks = asyncio.get_running_loop()
        held = tasks.create_task(create(api, "held", GREEDY))
        await until(lambda: backend.held == 1)
        answer = await api.http.request(
            "POST", MAPS, headers=GREEDY | {"content-type": "application/json"}, body=b"{}"
        )
        assert (answer.status, answer.headers["retry-after"]) == (429, "1")
        assert answer.body == b"Too many requests, please try again later.\n"
        _, schema = await api("GET", f"{FLOW}/flowschemas/greedy")
        _, narrow = await api("GET", f"{FLOW}/prioritylevelconfigurations/narrow")
        uids = [schema["metadata"]["uid"], narrow["metadata"]["uid"]]
        # Answered at once, without a seat; the headers say the same of it.
        fast = await get(api, f"{FLOW}/flowschemas/greedy", GREEDY)
        for one in (answer, fast):
            names = ("flowschema", "prioritylevel")
            assert [one.headers[f"x-kubernetes-pf-{name}-uid"] for name in names] == uids
        assert fast.status == 200
        others = await create(api, "other", {})
        assert others == 201
        _, page = await api("GET", "/metrics")
        refused = 'apiserver_flowcontrol_rejected_requests_total{flow_schema="greedy",'
        assert page_line(page, refused + 'priority_level="narrow",reason="concurrency-limit"}') == 1
        assert (
            page_line(page, 'apiserver_flowcontrol_current_executing_seats{priority_level="na') == 1
        )
        backend.gate.set()
        assert await held == 201
        assert await create(api, "again", GREEDY) == 201

    with_server(tmp_path, story, None)


def test_a_flood_of_one_user_lets_others_and_leases_pass(tmp_path: Path) -> None:
    async def story(running: RunningApiServer, backend: HeldBackend, api: Api) -> None:
        tasks = asyncio.get_running_loop()
        held = tasks.create_task(create(api, "held", GREEDY))
        await until(lambda: backend.held == 1)
        flood = [tasks.create_task(create(api, f"flood-{n}", GREEDY)) for n in range(60)]
        narrow = running.server.fairness.levels["narrow"].queues
        await until(lambda: sum(task.done() for task in flood) + narrow.waiting_count == 60)
        # Two queues of 10 are the greedy flow's hand.
        assert narrow.waiting_count == 20
        assert [task.result() for task in flood if task.done()] == [429] * 40
        for name in ("kube-node-lease", "default"):
            lease = {"metadata": {"name": f"of-{name}"}}
            assert (await api("POST", LEASES, lease))[0] == 201
        _, ready = await api("GET", "/readyz")
        assert ready == b"ok"
        assert (await get(api, MAPS, NODE)).status in (200, 403)  # Whatever it is, at once.
        modest = tasks.create_task(create(api, "modest", {"impersonate-user": "modest"}))
        await until(lambda: narrow.waiting_count == 21)
        backend.gate.set()
        assert await held == 201
        assert await modest == 201
        # Its turn came before most of those that waited already.
        assert sum(not task.done() for task in flood) >= 10
        codes = await asyncio.gather(*flood)
        assert sorted(codes) == [201] * 20 + [429] * 40
        assert (narrow.in_use, narrow.waiting_count) == (0, 0)

    with_server(tmp_path, story, {"queues": 64, "handSize": 2, "queueLengthLimit": 10})


def test_mandatory_objects_come_back(tmp_path: Path) -> None:
    async def story(running: RunningApiServer, backend: HeldBackend, api: Api) -> None:
        async def is_back(path: str) -> bool:
            return (await api("GET", f"{FLOW}/{path}"))[0] == 200

        for path in ("flowschemas/catch-all", "prioritylevelconfigurations/exempt"):
            assert (await api("DELETE", f"{FLOW}/{path}"))[0] == 200
            await until(lambda path=path: is_back(path))  # type: ignore[misc]
        assert (await api("DELETE", f"{FLOW}/prioritylevelconfigurations/narrow"))[0] == 200

        async def is_dangling() -> bool:
            _, schema = await api("GET", f"{FLOW}/flowschemas/greedy")
            return bool(schema["status"]["conditions"][0]["status"] == "True")

        await until(is_dangling)
        # It is passed by: the next schema takes its requests.
        answer = await get(api, MAPS, GREEDY)
        _, usual = await api("GET", f"{FLOW}/flowschemas/global-default")
        assert answer.headers["x-kubernetes-pf-flowschema-uid"] == usual["metadata"]["uid"]

    with_server(tmp_path, story, None)
