"""Pods of a real API server on a real runtime."""

import asyncio
import base64
import json
import os
import ssl
from pathlib import Path

import pytest

from component.kubelet.cluster import NAMESPACE, SmallCluster
from component.kubelet.conftest import Live
from e2e.clusters import container_processes
from tiphys.api.errors import NotFound
from tiphys.api.meta import Obj
from tiphys.cri.client import CriClient
from tiphys.kubelet.log_rotation import LogRotation
from tiphys.kubelet.resources import CONFIG_MAPS, LEASES, NODES, PODS
from tiphys.kubelet.runtime_cache import RuntimeCache
from tiphys.lib.clock import SystemClock
from tiphys.lib.http import websocket
from tiphys.lib.http.client import HttpClient
from tiphys.lib.tls import client_context

pytestmark = pytest.mark.root


def container(status: dict[str, object]) -> dict[str, object]:
    found: list[dict[str, object]] = status.get("containerStatuses") or [{}]  # type: ignore[assignment]
    return found[0]


def container_id(pod: Obj) -> str:
    """As the runtime knows it: without `containerd://` or whatever stands before."""
    return str(container(pod["status"])["containerID"]).split("://")[1]


def test_the_node_is_registered_and_holds_its_lease(live: Live) -> None:
    async def work(cluster: SmallCluster) -> None:
        async def registered() -> bool:
            try:
                lease = await cluster.client.get(LEASES, "n", "kube-node-lease")
            except NotFound:
                return False
            return bool(lease["spec"]["holderIdentity"] == "n")

        await cluster.until(registered, "the lease is held")
        node = await cluster.client.get(NODES, "n")
        assert node["metadata"]["labels"]["kubernetes.io/hostname"] == "n"
        assert {c["type"] for c in node["status"]["conditions"]} == {
            "MemoryPressure",
            "DiskPressure",
            "PIDPressure",
            "Ready",
        }

    live.run(work(live.cluster))


def test_a_pod_runs_to_its_end_with_events_and_log(live: Live) -> None:
    async def work(cluster: SmallCluster) -> None:
        await cluster.pod("done", "echo hello", restartPolicy="Never")
        await cluster.phase("done", "Succeeded")
        assert await cluster.log("done") == "hello\n"

        async def told() -> bool:
            reasons = [reason for reason, _ in await cluster.events("done")]
            return {"Created", "Started"} <= set(reasons)

        await cluster.until(told, "events are written")

    live.run(work(live.cluster))


def test_a_crashing_container_is_restarted_and_then_waits(live: Live) -> None:
    async def work(cluster: SmallCluster) -> None:
        await cluster.pod("crash", "exit 3")
        pod = await cluster.when(
            "crash",
            lambda s: "waiting" in container(s).get("state", {}) and container(s)["restartCount"],  # type: ignore[operator]
            "it backs off",
        )
        status = pod["status"]["containerStatuses"][0]
        assert status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
        assert status["lastState"]["terminated"]["exitCode"] == 3

    live.run(work(live.cluster))


def test_config_map_volumes_follow_their_config_map(live: Live) -> None:
    async def work(cluster: SmallCluster) -> None:
        await cluster.create(CONFIG_MAPS, "cm", data={"a": "one"})
        await cluster.pod(
            "conf",
            "while [ $(cat /v/a) = one ]; do sleep 0.1; done; cat /v/a",
            restartPolicy="Never",
            container={"volumeMounts": [{"name": "v", "mountPath": "/v"}]},
            volumes=[{"name": "v", "configMap": {"name": "cm"}}],
        )
        await cluster.phase("conf", "Running")
        patch = {"data": {"a": "two"}}
        await cluster.client.patch(CONFIG_MAPS, "cm", patch, NAMESPACE, kind="merge")
        await cluster.phase("conf", "Succeeded")
        assert await cluster.log("conf") == "two"

    live.run(work(live.cluster))


def test_a_deleted_pod_ends_in_order_and_leaves_nothing(live: Live) -> None:
    async def work(cluster: SmallCluster) -> None:
        await cluster.pod("gone", "trap 'exit 0' TERM; while :; do sleep 0.1; done")
        pod = await cluster.phase("gone", "Running")
        await cluster.client.delete(PODS, "gone", NAMESPACE)

        async def is_gone() -> bool:
            try:
                await cluster.get("gone")
            except NotFound:
                return True
            return False

        await cluster.until(is_gone, "the object is gone")
        uid = pod["metadata"]["uid"]
        logs = cluster.config.pod_logs_dir / f"{NAMESPACE}_gone_{uid}"

        async def is_clean() -> bool:
            return not (cluster.config.root_dir / "pods" / uid).exists() and not logs.exists()

        await cluster.until(is_clean, "its files are gone")

    live.run(work(live.cluster))


def test_a_new_kubelet_takes_running_containers_over(live: Live, tmp_path: Path) -> None:
    async def work(cluster: SmallCluster) -> None:
        await cluster.pod("kept", "echo started; sleep 600")
        end = tmp_path / "end"
        await cluster.pod(
            "ended",
            "while [ ! -e /flag/end ]; do usleep 20000; done; exit 4",
            restartPolicy="Never",
            container={"volumeMounts": [{"name": "v", "mountPath": "/flag"}]},
            volumes=[{"name": "v", "hostPath": {"path": str(tmp_path)}}],
        )
        before = await cluster.phase("kept", "Running")
        ended = await cluster.phase("ended", "Running")
        await cluster.stop_kubelet()
        end.touch()  # The other ends while nobody looks.

        async def has_ended() -> bool:
            return not container_processes(container_id(ended))

        await cluster.until(has_ended, "its process is gone")
        cluster.start_kubelet()
        ended = await cluster.phase("ended", "Failed")
        assert ended["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 4
        after = await cluster.get("kept")
        assert container(after["status"]) == container(before["status"])
        assert await cluster.log("kept") == "started\n"

    live.run(work(live.cluster))


def test_a_pod_deleted_while_no_kubelet_ran_is_ended(live: Live) -> None:
    async def work(cluster: SmallCluster) -> None:
        await cluster.pod("orphan", "sleep 600")
        pod = await cluster.phase("orphan", "Running")
        assert container_processes(container_id(pod))
        await cluster.stop_kubelet()
        await cluster.client.delete(PODS, "orphan", NAMESPACE, grace_period_seconds=0)
        cluster.start_kubelet()
        logs = cluster.config.pod_logs_dir / f"{NAMESPACE}_orphan_{pod['metadata']['uid']}"

        async def is_clean() -> bool:
            return not logs.exists() and not container_processes(container_id(pod))

        await cluster.until(is_clean, "its logs and processes are gone")

    live.run(work(live.cluster))


def test_exec_passes_through_to_the_runtime(live: Live) -> None:
    async def work(cluster: SmallCluster) -> None:
        await cluster.pod("exec", "sleep 600")
        await cluster.phase("exec", "Running")
        pki = cluster.directory / "pki"
        tls = client_context(pki / "ca.crt", pki / "admin.crt", pki / "admin.key")
        found = await exec_command(cluster.config.port, tls, "/exec/default/exec/c", "cat; exit 5")
        assert found[1] == b"typed"
        assert json.loads(found[3])["details"]["causes"] == [{"reason": "ExitCode", "message": "5"}]

    live.run(work(live.cluster))


async def exec_command(
    port: int,
    tls: ssl.SSLContext,
    path: str,
    command: str,
    protocol: str = "v5.channel.k8s.io",
) -> dict[int, bytes]:
    """What comes back on each channel when `typed` is sent to stdin."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    key = base64.b64encode(os.urandom(16)).decode()
    query = "command=sh&command=-c&command=" + command.replace(" ", "%20").replace(";", "%3B")
    lines = [
        f"GET {path}?input=1&output=1&error=1&{query} HTTP/1.1",
        "Host: kubelet",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        f"Sec-WebSocket-Protocol: {protocol}",
    ]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert b"101" in head.split(b"\r\n")[0], head
    socket = websocket.WebSocket(mask=lambda: os.urandom(4))
    writer.write(socket.frame(websocket.BINARY, b"\0typed"))
    if protocol.startswith("v5."):
        writer.write(socket.frame(websocket.BINARY, b"\xff\0"))
    found: dict[int, bytes] = {}
    while not socket.close_received and (data := await reader.read(65536)):
        for message in socket.receive(data):
            if message.opcode == websocket.BINARY:
                channel = message.data[0]
                found[channel] = found.get(channel, b"") + message.data[1:]
    writer.close()
    return found


def test_strangers_are_not_let_in(live: Live) -> None:
    async def work(cluster: SmallCluster) -> None:
        pki = cluster.directory / "pki"
        tls = client_context(pki / "ca.crt")
        http = HttpClient(f"https://127.0.0.1:{cluster.config.port}", tls=tls)
        try:
            answer = await http.request("GET", "/pods")
            wrong = await http.request("GET", "/pods", headers={"Authorization": "Bearer x"})
        finally:
            http.close()
        assert (answer.status, wrong.status) == (401, 401)

    live.run(work(live.cluster))


def test_a_large_log_is_rotated_and_followed(live: Live) -> None:
    async def work(cluster: SmallCluster) -> None:
        await cluster.pod("chatty", "i=0; while :; do echo line $i; i=$((i+1)); sleep 0.02; done")
        pod = await cluster.phase("chatty", "Running")
        cri = CriClient(cluster.config.runtime_socket)
        cache = RuntimeCache(cri, lambda uid: None)
        rotation = LogRotation(cri, cache, SystemClock(), bytes_max=500)
        folder = cluster.config.pod_logs_dir / f"{NAMESPACE}_chatty_{pod['metadata']['uid']}" / "c"

        async def is_rotated() -> bool:
            await cache.relist()
            await rotation.check()
            rotated = list(folder.glob("0.log.*"))
            return bool(rotated) and (folder / "0.log").exists()

        await cluster.until(is_rotated, "the log has a new file")
        cri.close()

        async def goes_on() -> bool:
            return "line" in await cluster.log("chatty", "tailLines=1")

        await cluster.until(goes_on, "the new file is written to")

    live.run(work(live.cluster))
