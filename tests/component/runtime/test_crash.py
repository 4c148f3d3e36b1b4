"""What survives: kill -9 of the runtime, a killed shim, a reboot; and what purge leaves."""

import asyncio
import json
import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest

from component.runtime.conftest import LiveNode
from component.runtime.rig import Rig, log_lines, processes_titled
from tiphys.runtime.purge import purge, stop

pytestmark = pytest.mark.root

COUNT = "i=0; while :; do echo $i; i=$((i+1)); usleep 5000; done"


def test_containers_outlive_the_runtime(node: LiveNode) -> None:
    """Same ids, pids and start times; logs go on; who ended meanwhile is reported."""

    async def body() -> None:
        rig = node.rig
        sandbox = await rig.sandbox("survivor")
        counter = await rig.run(sandbox, COUNT, name="counter")
        ending = await rig.run(
            sandbox, "until test -e /dev/shm/go; do usleep 1000; done; exit 9", name="ending"
        )
        before, pid = await rig.status(counter), (await rig.verbose(counter))["pid"]
        rig.kill()
        lines = len(log_lines(before))
        await rig.until(lambda: len(log_lines(before)) > lines + 5, "the log goes on")
        touch(int(pid), "go")
        record = rig.directory / "root" / "containers" / ending / "exit.json"
        await rig.until(record.exists, "the shim records the exit")
        await rig.start()
        assert await rig.status(counter) == before
        assert (await rig.verbose(counter))["pid"] == pid
        status = await rig.status(ending)
        assert (status["state"], status["exit_code"]) == ("CONTAINER_EXITED", 9)
        assert status["finished_at"] > status["started_at"]
        answer = await rig.exec(counter, "echo still here")
        assert answer["stdout"] == b"still here\n"
        await rig.client.call("StopContainer", {"container_id": counter, "timeout": 0})
        assert (await rig.status(counter))["exit_code"] == 137
        numbers = [int(line.split()[3]) for line in log_lines(before)]
        assert numbers == list(range(len(numbers)))
        await rig.client.call("RemovePodSandbox", {"pod_sandbox_id": sandbox})

    node.run(body())


def touch(pid: int, name: str) -> None:
    Path(f"/proc/{pid}/root/dev/shm/{name}").touch()


def test_many_kills_lose_nothing(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        sandbox = await rig.sandbox("often")
        container = await rig.run(sandbox, COUNT)
        before = await rig.status(container)
        for _ in range(5):
            rig.kill()
            await rig.start()
            assert await rig.status(container) == before
        await rig.client.call("RemovePodSandbox", {"pod_sandbox_id": sandbox})
        assert processes_titled(f"{rig.config.label} default/often") == []

    node.run(body())


def test_kills_at_any_moment_leak_nothing(node: LiveNode) -> None:
    """The runtime is killed while pods are made; what the next one lists can be removed wholly."""

    async def body() -> None:
        rig = node.rig
        rng = random.Random(7)
        for index in range(10):
            work = asyncio.gather(
                *(pod(rig, f"any{index}-{n}") for n in range(3)), return_exceptions=True
            )
            await asyncio.sleep(rng.uniform(0.001, 0.06))
            rig.kill()
            await work
            await rig.start()
            for item in (await rig.client.call("ListPodSandbox", {})).get("items", []):
                for method in ("StopPodSandbox", "RemovePodSandbox"):
                    await rig.client.call(method, {"pod_sandbox_id": item["id"]})
            await rig.until(
                lambda: not processes_titled(f"shim {rig.config.label}"), "no shim is left"
            )
            for kind in ("sandboxes", "containers"):
                assert os.listdir(rig.directory / "root" / kind) == []
            pods = [g for root in rig.cgroup_names("besteffort") for g in groups_in(root)]
            assert [g for g in pods if rig.config.cgroup_root in g] == []

    node.run(asyncio.wait_for(body(), 60))


async def pod(rig: Rig, name: str) -> None:
    await rig.run(await rig.sandbox(name), "sleep 1000")


def groups_in(root: str) -> list[str]:
    return [entry.path for entry in os.scandir(root) if entry.is_dir()]


def test_a_killed_shim_takes_its_pod_along(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        sandbox = await rig.sandbox("shimless")
        container = await rig.run(sandbox, "sleep 1000")
        pid = int((await rig.verbose(container))["pid"])
        (shim,) = processes_titled(f"{rig.config.label} default/shimless")
        os.kill(shim, signal.SIGKILL)
        status = await rig.finished(container)
        assert (status["exit_code"], status["reason"]) == (255, "Unknown")
        assert (await sandbox_state(rig, sandbox)) == "SANDBOX_NOTREADY"
        await rig.until(lambda: not alive(pid), "the container ends with its shim")
        await rig.client.call("StopPodSandbox", {"pod_sandbox_id": sandbox})
        await rig.client.call("RemovePodSandbox", {"pod_sandbox_id": sandbox})

    node.run(body())


def alive(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}")


async def sandbox_state(rig: Rig, sandbox: str) -> str:
    answer = await rig.client.call("PodSandboxStatus", {"pod_sandbox_id": sandbox})
    return str(answer["status"].get("state", "SANDBOX_READY"))


def test_a_killed_zygote_is_replaced(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        (zygote,) = processes_titled(f"zygote {rig.config.label}")
        os.kill(zygote, signal.SIGKILL)
        await rig.run(await rig.sandbox("next"), "true")
        assert processes_titled(f"zygote {rig.config.label}") != [zygote]

    node.run(body())


def test_after_a_reboot_pods_are_not_ready_and_containers_exited(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        sandbox = await rig.sandbox("rebooted")
        container = await rig.run(sandbox, "sleep 1000")
        (shim,) = processes_titled(f"{rig.config.label} default/rebooted")
        rig.kill()
        os.kill(shim, signal.SIGKILL)
        change_boot_id(rig.directory / "root" / "sandboxes" / sandbox / "sandbox.json")
        await rig.start()
        assert await sandbox_state(rig, sandbox) == "SANDBOX_NOTREADY"
        status = await rig.status(container)
        assert (status["state"], status["exit_code"], status["reason"]) == (
            "CONTAINER_EXITED",
            255,
            "Unknown",
        )
        await rig.client.call("RemovePodSandbox", {"pod_sandbox_id": sandbox})
        assert (await rig.client.call("ListImages", {}))["images"]

    node.run(body())


def change_boot_id(path: Path) -> None:
    row: dict[str, Any] = json.loads(path.read_text())
    row["shim"]["boot_id"] = "another"
    path.write_text(json.dumps(row))


def test_a_torn_record_is_dropped(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        sandbox = await rig.sandbox("torn")
        rig.kill()
        tear(rig.directory / "root" / "sandboxes" / sandbox / "sandbox.json")
        await rig.start()
        items = (await rig.client.call("ListPodSandbox", {})).get("items", [])
        assert sandbox not in [item["id"] for item in items]
        await rig.until(
            lambda: not processes_titled(f"{rig.config.label} default/torn"), "its shim is ended"
        )

    node.run(body())


def tear(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:50])


def test_stopping_ends_containers_and_keeps_images_and_records(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        sandbox = await rig.sandbox("stopped")
        polite = await rig.run(sandbox, "trap 'exit 4' TERM; sleep 100 & wait", name="polite")
        deaf = await rig.run(sandbox, "trap '' TERM; while :; do sleep 100; done", name="deaf")
        rig.kill()
        await asyncio.to_thread(stop, rig.config, 0.5)
        assert processes_titled(f"shim {rig.config.label}") == []
        assert rig.cgroup_names(rig.config.cgroup_root) == []
        await rig.start()
        assert (await rig.status(polite))["exit_code"] == 4
        assert (await rig.status(deaf))["exit_code"] == 137
        assert (await sandbox_state(rig, sandbox)) == "SANDBOX_NOTREADY"
        await rig.run(await rig.sandbox("again"), "true")

    node.run(asyncio.wait_for(body(), 60))


def test_purge_removes_every_trace_of_a_dead_runtime(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        for name in ("purged1", "purged2"):
            await rig.run(await rig.sandbox(name), "sleep 1000")
        assert processes_titled(rig.config.label)
        rig.kill()
        for _ in range(2):
            purge(rig.config)
            assert processes_titled(f"shim {rig.config.label}") == []
            assert rig.cgroup_names(rig.config.cgroup_root) == []
        for path in (rig.config.root_dir, rig.config.state_dir, rig.config.socket_path):
            assert not os.path.exists(path)  # noqa: ASYNC240

    node.run(asyncio.wait_for(body(), 60))
