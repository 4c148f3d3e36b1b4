"""What the kubelet relies on in a CRI runtime, proved on ours and on Debian's containerd."""

import asyncio
import contextlib
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest

from component.runtime.conftest import LiveNode
from component.runtime.rig import BUSYBOX, Rig, log_lines
from conformance.cri import runtimes
from tiphys.cri.errors import CriError
from tiphys.runtime.images import bundled
from tiphys.runtime.images.registry_storage import RegistryStorage

pytestmark = pytest.mark.root

NODE_NETWORK = {"network": "NODE", "pid": "CONTAINER"}


@pytest.fixture(scope="module", params=runtimes.available())
def live(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveNode]:
    storage = RegistryStorage(str(tmp_path_factory.mktemp("registry")))
    bundled.build(storage)
    rig = runtimes.make(request.param, tmp_path_factory.mktemp(request.param), storage)
    with asyncio.Runner() as runner:
        try:
            runtimes.run(runner, rig)
            yield LiveNode(runner, rig)
        finally:
            runner.run(rig.close())


async def pod(rig: Rig, name: str) -> str:
    config = rig.pod(name, namespace_options=NODE_NETWORK)
    del config["hostname"]
    return await rig.run_pod(config)


def context(**more: Any) -> dict[str, Any]:
    return {"namespace_options": dict(NODE_NETWORK), **more}


def test_version_and_status(live: LiveNode) -> None:
    async def body() -> None:
        version = await live.rig.client.call("Version", {"version": "v1"})
        assert (version["version"], version["runtime_api_version"]) == ("0.1.0", "v1")
        conditions = (await live.rig.client.call("Status", {}))["status"]["conditions"]
        ready = {c["type"]: c.get("status", False) for c in conditions}
        assert ready["RuntimeReady"] is True
        assert "NetworkReady" in ready

    live.run(body())


def test_life_of_a_pod(live: LiveNode) -> None:
    async def body() -> None:
        rig = live.rig
        call = rig.client.call
        identity = await pod(rig, "life")
        status = (await call("PodSandboxStatus", {"pod_sandbox_id": identity}))["status"]
        assert status.get("state", "SANDBOX_READY") == "SANDBOX_READY"
        assert status["labels"] == {"app": "life"}
        assert status["metadata"]["name"] == "life"
        assert status["linux"]["namespaces"]["options"]["network"] == "NODE"
        script = "trap 'echo bye; exit 3' TERM; echo out; echo err >&2; sleep 60 & wait"
        container = await rig.create(identity, script, context=context())
        created = await rig.status(container)
        assert created.get("state", "CONTAINER_CREATED") == "CONTAINER_CREATED"
        assert created["image"]["image"] == BUSYBOX
        await call("StartContainer", {"container_id": container})
        running = await rig.status(container)
        assert running["state"] == "CONTAINER_RUNNING"
        assert running["started_at"] >= running["created_at"] > 0
        assert "finished_at" not in running
        await rig.until(lambda: len(log_lines(running)) == 2, "both lines are logged")
        await call("StopContainer", {"container_id": container, "timeout": 10})
        ended = await rig.finished(container)
        assert (ended["exit_code"], ended["reason"]) == (3, "Error")
        assert ended["finished_at"] > running["started_at"]
        pattern = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}Z (stdout|stderr) F (.*)")
        found = [pattern.fullmatch(line) for line in log_lines(ended)]
        assert sorted(match.groups() for match in found if match) == [
            ("stderr", "err"),
            ("stdout", "bye"),
            ("stdout", "out"),
        ]
        await call("StopPodSandbox", {"pod_sandbox_id": identity})
        status = (await call("PodSandboxStatus", {"pod_sandbox_id": identity}))["status"]
        assert status["state"] == "SANDBOX_NOTREADY"
        for _ in range(2):  # Repeating is no error.
            await call("StopContainer", {"container_id": container, "timeout": 1})
            await call("StopPodSandbox", {"pod_sandbox_id": identity})
        await call("RemoveContainer", {"container_id": container})
        await call("RemoveContainer", {"container_id": container})
        await call("RemovePodSandbox", {"pod_sandbox_id": identity})
        await call("RemovePodSandbox", {"pod_sandbox_id": identity})
        with pytest.raises(CriError) as gone:
            await rig.status(container)
        assert gone.value.code == "NOT_FOUND"
        with pytest.raises(CriError) as gone:
            await call("PodSandboxStatus", {"pod_sandbox_id": identity})
        assert gone.value.code == "NOT_FOUND"

    live.run(asyncio.wait_for(body(), 60))


@pytest.mark.parametrize(
    ("command", "code", "reason"),
    [
        pytest.param("exit 0", 0, "Completed", id="completed"),
        pytest.param("exit 42", 42, "Error", id="error"),
        pytest.param(
            "kill -9 $$; echo alive; sleep 60; trap : 9", 0, "", id="kill-of-process-1-is-ignored"
        ),
        pytest.param("sh -c 'kill -6 $$'; exit $?", 134, "Error", id="signal-of-a-child"),
    ],
)
def test_exit_codes_and_reasons(live: LiveNode, command: str, code: int, reason: str) -> None:
    async def body() -> None:
        rig = live.rig
        identity = await pod(rig, "codes")
        try:
            container = await rig.run(identity, command, context=context())
            if not reason:

                async def says_so() -> bool:
                    return "alive" in "".join(log_lines(await rig.status(container)))

                await rig.until(says_so, "it went on after the signal")
                assert (await rig.status(container))["state"] == "CONTAINER_RUNNING"
                return
            status = await rig.finished(container)
            assert (status.get("exit_code", 0), status["reason"]) == (code, reason)
        finally:
            await remove(rig, identity)

    live.run(asyncio.wait_for(body(), 60))


async def remove(rig: Rig, identity: str) -> None:
    with contextlib.suppress(CriError):
        await rig.client.call("StopPodSandbox", {"pod_sandbox_id": identity})
    await rig.client.call("RemovePodSandbox", {"pod_sandbox_id": identity})


def test_memory_limit_ends_in_oomkilled(live: LiveNode) -> None:
    async def body() -> None:
        rig = live.rig
        identity = await pod(rig, "oom")
        linux = {"resources": {"memory_limit_in_bytes": 16 << 20}}
        script = "x=a; while :; do x=$x$x; done"
        container = await rig.run(identity, script, linux=linux, context=context())
        status = await rig.finished(container)
        assert (status["exit_code"], status["reason"]) == (137, "OOMKilled")
        await remove(rig, identity)

    live.run(asyncio.wait_for(body(), 60))


def test_a_command_that_cannot_run(live: LiveNode) -> None:
    async def body() -> None:
        rig = live.rig
        identity = await pod(rig, "nope")
        container = await rig.create(identity, ["nope"], context=context())
        with pytest.raises(CriError, match=r'exec: "nope": executable file not found in \$PATH'):
            await rig.client.call("StartContainer", {"container_id": container})
        status = await rig.status(container)
        assert (status["state"], status["exit_code"], status["reason"]) == (
            "CONTAINER_EXITED",
            128,
            "StartError",
        )
        await remove(rig, identity)

    live.run(asyncio.wait_for(body(), 60))


def test_exec_sync(live: LiveNode) -> None:
    async def body() -> None:
        rig = live.rig
        identity = await pod(rig, "exec")
        user = context(
            run_as_user={"value": 1000}, run_as_group={"value": 2000}, supplemental_groups=[3000]
        )
        envs = [{"key": "A", "value": b"b"}]
        container = await rig.run(identity, "sleep 60", context=user, envs=envs)
        answer = await rig.exec(container, "echo $A; id -u; id -g; id -G; echo no >&2; exit 5")
        assert answer["stdout"].split() == [b"b", b"1000", b"2000", b"2000", b"3000"]
        assert (answer["stderr"], answer["exit_code"]) == (b"no\n", 5)
        with pytest.raises(CriError, match="executable file not found"):
            await rig.client.call("ExecSync", {"container_id": container, "cmd": ["nope"]})
        with pytest.raises(CriError) as late:
            await rig.exec(container, "sleep 30", timeout=1)
        assert late.value.code == "DEADLINE_EXCEEDED"
        await rig.client.call("StopContainer", {"container_id": container, "timeout": 0})
        with pytest.raises(CriError):
            await rig.exec(container, "true")
        await remove(rig, identity)

    live.run(asyncio.wait_for(body(), 60))


def test_lists_and_filters(live: LiveNode) -> None:
    async def body() -> None:
        rig = live.rig
        identity = await pod(rig, "lists")
        container = await rig.run(identity, "sleep 60", labels={"k": "v"}, context=context())

        async def found(**wanted: Any) -> list[str]:
            answer = await rig.client.call("ListContainers", {"filter": wanted})
            return [row["id"] for row in answer.get("containers", [])]

        assert await found(label_selector={"k": "v"}) == [container]
        assert await found(id=container) == [container]
        assert await found(pod_sandbox_id=identity) == [container]
        assert await found(label_selector={"k": "w"}) == []
        exited = {"state": "CONTAINER_EXITED"}
        assert await found(pod_sandbox_id=identity, state=exited) == []
        selector = {"filter": {"label_selector": {"app": "lists"}}}
        items = (await rig.client.call("ListPodSandbox", selector))["items"]
        assert [item["id"] for item in items] == [identity]
        stats = await rig.client.call("ContainerStats", {"container_id": container})
        assert stats["stats"]["attributes"]["id"] == container
        await remove(rig, identity)

    live.run(asyncio.wait_for(body(), 60))


def test_images(live: LiveNode) -> None:
    async def body() -> None:
        rig = live.rig
        call = rig.client.call
        image = (await call("ImageStatus", {"image": {"image": "busybox"}}))["image"]
        assert image["repo_tags"] == [BUSYBOX]
        assert image["repo_digests"][0].startswith("docker.io/library/busybox@sha256:")
        assert image["size"] > 1 << 20
        assert not {"uid", "username"} & image.keys()  # Which the kubelet takes for root.
        by_id = await call("ImageStatus", {"image": {"image": image["id"]}})
        assert by_id["image"]["id"] == image["id"]
        assert image["id"] in [row["id"] for row in (await call("ListImages", {}))["images"]]
        assert await call("ImageStatus", {"image": {"image": "never/heard:of"}}) == {}
        pause = "registry.k8s.io/pause:3.10.2"
        ref = (await call("PullImage", {"image": {"image": pause}}))["image_ref"]
        assert (await call("ImageStatus", {"image": {"image": ref}}))["image"]["uid"] == {
            "value": 65535
        }
        assert (await call("ImageFsInfo", {}))["image_filesystems"][0]["fs_id"]["mountpoint"]

    live.run(asyncio.wait_for(body(), 60))


def test_the_log_can_be_rotated(live: LiveNode) -> None:
    async def body() -> None:
        rig = live.rig
        identity = await pod(rig, "rotate")
        script = "while :; do echo x; usleep 5000; done"
        container = await rig.run(identity, script, context=context())
        status = await rig.status(container)
        await rig.until(lambda: len(log_lines(status)) > 2, "lines")
        await call_rotate(rig, container, status["log_path"])
        await rig.until(lambda: len(log_lines(status)) > 2, "lines in the new file")
        await remove(rig, identity)

    live.run(asyncio.wait_for(body(), 60))


async def call_rotate(rig: Rig, container: str, path: str) -> None:
    os.rename(path, f"{path}.1")
    await rig.client.call("ReopenContainerLog", {"container_id": container})
