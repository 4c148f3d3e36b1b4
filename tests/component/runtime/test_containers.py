"""Real containers of a pulled image, through the CRI socket."""

import asyncio
import contextlib
import os
import re
import signal
import uuid
from pathlib import Path
from typing import Any

import pytest

from component.runtime.conftest import LiveNode
from component.runtime.rig import BUSYBOX, log_lines, processes_titled
from tiphys.cri.errors import CriError

pytestmark = pytest.mark.root


def read(path: str) -> str:
    return Path(path).read_text()


def test_a_container_starts_logs_is_executed_in_and_stops(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        sandbox = await rig.sandbox()
        script = "trap 'echo bye; exit 3' TERM; echo out; echo err >&2; sleep 60 & wait"
        container = await rig.run(sandbox, script)
        status = await rig.status(container)
        assert status["state"] == "CONTAINER_RUNNING"
        assert status["image"] == {"image": BUSYBOX}
        assert status["image_ref"].startswith("docker.io/library/busybox@sha256:")
        answer = await rig.exec(container, "echo in; hostname; cat /etc/resolv.conf; exit 4")
        assert answer["stdout"] == b"in\npod\nsearch a.b b\nnameserver 10.96.0.10\n"
        assert answer["exit_code"] == 4
        await rig.client.call("StopContainer", {"container_id": container, "timeout": 10})
        status = await rig.status(container)
        assert status["state"] == "CONTAINER_EXITED"
        assert (status["exit_code"], status["reason"]) == (3, "Error")
        lines = log_lines(status)
        assert [line.split(" ", 1)[1] for line in lines] == [
            "stdout F out",
            "stderr F err",
            "stdout F bye",
        ]
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z ", lines[0])
        await rig.client.call("StopPodSandbox", {"pod_sandbox_id": sandbox})
        answer = await rig.client.call("PodSandboxStatus", {"pod_sandbox_id": sandbox})
        assert answer["status"]["state"] == "SANDBOX_NOTREADY"
        await rig.client.call("RemovePodSandbox", {"pod_sandbox_id": sandbox})
        assert await rig.client.call("ListContainers", {}) == {}
        with pytest.raises(CriError, match="NOT_FOUND"):
            await rig.status(container)

    node.run(body())


def test_stopping_kills_what_ignores_the_signal(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        container = await rig.run(await rig.sandbox("deaf"), "trap '' TERM; sleep 100 & wait; wait")
        await rig.client.call("StopContainer", {"container_id": container, "timeout": 1})
        status = await rig.status(container)
        assert (status["exit_code"], status["reason"]) == (137, "Error")
        assert status["finished_at"] > status["started_at"] > status["created_at"] > 0

    node.run(body())


@pytest.mark.parametrize(
    ("command", "error"),
    [
        pytest.param(
            ["nope"], 'exec: "nope": executable file not found in $PATH', id="not-in-path"
        ),
        pytest.param(["/nope"], 'exec: "/nope": stat /nope: no such file', id="no-such-file"),
        pytest.param(["/etc/passwd"], 'exec: "/etc/passwd": permission denied', id="no-program"),
    ],
)
def test_a_command_that_cannot_run_is_a_start_error(
    node: LiveNode, command: list[str], error: str
) -> None:
    async def body() -> None:
        rig = node.rig
        container = await rig.create(await rig.sandbox("bad"), command)
        with pytest.raises(CriError) as refused:
            await rig.client.call("StartContainer", {"container_id": container})
        assert error in refused.value.message
        status = await rig.status(container)
        assert (status["state"], status["exit_code"], status["reason"]) == (
            "CONTAINER_EXITED",
            128,
            "StartError",
        )

    node.run(body())


def test_long_lines_are_cut_at_16_kib(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        script = "head -c 40000 /dev/zero | tr '\\0' x; echo; printf end"
        status = await rig.finished(await rig.run(await rig.sandbox("long"), script))
        parts = [line.split(" ", 3)[2:] for line in log_lines(status)]
        assert [(tag, len(text)) for tag, text in parts] == [
            ("P", 16384),
            ("P", 16384),
            ("F", 7232),
            ("P", 3),
        ]

    node.run(body())


def test_a_log_that_was_moved_is_opened_again(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        script = "i=0; while :; do echo $i; i=$((i+1)); usleep 2000; done"
        container = await rig.run(await rig.sandbox("rotate"), script)
        path = Path((await rig.status(container))["log_path"])
        await rig.until(lambda: path.read_text().count("\n") > 5, "lines")
        os.rename(path, f"{path}.1")
        await rig.client.call("ReopenContainerLog", {"container_id": container})
        await rig.until(lambda: path.exists() and path.read_text().count("\n") > 5, "new lines")
        text = read(f"{path}.1") + read(str(path))
        numbers = [int(line.split()[3]) for line in text.splitlines()]
        assert numbers == list(range(len(numbers)))

    node.run(body())


def test_environment_arguments_and_directory_come_from_image_and_pod(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        output = await rig.output(
            await rig.sandbox("env"),
            'echo "$A|$0|$1|$HOME|$HOSTNAME"; pwd; echo $PATH',
            args=["name", "one two"],
            envs=[{"key": "A", "value": b"a=b c"}],
            working_dir="/made/for/it",
        )
        assert output.splitlines() == [
            "a=b c|name|one two|/root|env",
            "/made/for/it",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ]

    node.run(body())


def test_containers_of_a_pod_share_network_and_memory_but_not_processes(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        sandbox = await rig.sandbox("shared")
        await rig.run(sandbox, "echo shm > /dev/shm/x; httpd -f -p 127.0.0.1:81 -h /etc", name="a")
        script = "until wget -qO- 127.0.0.1:81/hostname; do sleep 0.1; done; cat /dev/shm/x; ps"
        output = await rig.output(sandbox, script, name="b")
        assert output.startswith("shared\nshm\n")
        assert "httpd" not in output

    node.run(body())


def test_a_pod_may_share_its_processes(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        shared = {"pid": "POD"}
        context = {"namespace_options": shared}
        sandbox = await rig.sandbox(
            "pids", security_context={"namespace_options": shared}, namespace_options=shared
        )
        first = await rig.run(sandbox, "sleep 77 & exec sleep 66", name="a", context=dict(context))
        output = await rig.output(sandbox, "ps", name="b", context={"namespace_options": shared})
        assert "sleep 66" in output
        assert "sleep 77" in output
        await rig.client.call("StopContainer", {"container_id": first, "timeout": 0})
        output = await rig.output(sandbox, "ps", name="c", context={"namespace_options": shared})
        assert "sleep" not in output
        await rig.client.call("RemovePodSandbox", {"pod_sandbox_id": sandbox})

    node.run(body())


def test_volumes_are_mounted_read_only_or_not(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        volume, file = rig.directory / "volume", rig.directory / "file"
        volume.mkdir()
        file.write_text("from the node\n")
        mounts = [
            {"container_path": "/data/deep", "host_path": str(volume)},
            {"container_path": "/ro", "host_path": str(volume), "readonly": True},
            {"container_path": "/etc/file", "host_path": str(file)},
            {"container_path": "/made", "host_path": str(rig.directory / "made")},
        ]
        script = "cat /etc/file; echo x > /data/deep/x; echo y > /ro/y; ls /ro"
        output = await rig.output(await rig.sandbox("vol"), script, mounts=mounts)
        error = "sh: can't create /ro/y: Read-only file system"
        assert sorted(output.splitlines()) == sorted(["from the node", error, "x"])
        assert (volume / "x").read_text() == "x\n"
        assert (rig.directory / "made").is_dir()

    node.run(body())


def test_events_are_streamed(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        seen: list[tuple[str, str]] = []

        async def watch() -> None:
            async for event in rig.client.events():
                kind = event.get("container_event_type", "CONTAINER_CREATED_EVENT")
                seen.append((event["container_id"], kind))
                if kind == "CONTAINER_STOPPED_EVENT":
                    exits = [c.get("exit_code") for c in event["containers_statuses"]]
                    assert exits == [5]
                    return

        task = asyncio.get_running_loop().create_task(watch())
        # Until the stream is open there is nothing to see of it: a sandbox's event shows it is.
        for number in range(20):
            await rig.sandbox(f"opened{number}")
            await asyncio.sleep(0.05)
            if seen:
                break
        sandbox = await rig.sandbox("events")
        container = await rig.run(sandbox, "exit 5")
        await asyncio.wait_for(task, 10)
        assert [kind.split("_")[1] for identity, kind in seen if identity == container] == [
            "CREATED",
            "STARTED",
            "STOPPED",
        ]

    node.run(body())


def test_lists_are_filtered(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        sandbox = await rig.sandbox("filtered")
        container = await rig.run(sandbox, "sleep 60", labels={"l": "v"})

        async def ids(**wanted: Any) -> list[str]:
            answer = await rig.client.call("ListContainers", {"filter": wanted})
            return [row["id"] for row in answer.get("containers", [])]

        assert await ids(label_selector={"l": "v"}) == [container]
        assert await ids(label_selector={"l": "other"}) == []
        assert await ids(id=container[:12]) == [container]
        assert await ids(pod_sandbox_id=sandbox, state={"state": "CONTAINER_EXITED"}) == []
        running = {"state": "CONTAINER_RUNNING"}
        assert await ids(pod_sandbox_id=sandbox, state=running) == [container]
        answer = await rig.client.call(
            "ListPodSandbox", {"filter": {"label_selector": {"app": "filtered"}}}
        )
        assert [row["id"] for row in answer["items"]] == [sandbox]

    node.run(body())


def test_names_are_reserved(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        config = rig.pod("twice")
        await rig.client.call("RunPodSandbox", {"config": config})
        with pytest.raises(CriError, match="name is reserved"):
            await rig.client.call("RunPodSandbox", {"config": config})

    node.run(body())


def test_version_status_and_configuration(node: LiveNode) -> None:
    async def body() -> None:
        call = node.rig.client.call
        assert (await call("Version", {}))["runtime_name"] == "tiphys"
        conditions = (await call("Status", {}))["status"]["conditions"]
        assert {c["type"]: c.get("status", False) for c in conditions} == {
            "RuntimeReady": True,
            "NetworkReady": True,
        }
        assert await call("RuntimeConfig", {}) == {"linux": {"cgroup_driver": "CGROUPFS"}}

    node.run(body())


def test_removing_leaves_nothing(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        name = f"gone{uuid.uuid4().hex[:6]}"
        sandbox = await rig.sandbox(name)
        container = await rig.run(sandbox, "sleep 100")
        pid = int((await rig.verbose(container))["pid"])
        assert processes_titled(f"{rig.config.label} default/{name}")
        await rig.client.call("StopPodSandbox", {"pod_sandbox_id": sandbox})
        await rig.client.call("RemovePodSandbox", {"pod_sandbox_id": sandbox})
        assert pid not in processes_titled("sleep\0100")
        assert not processes_titled(f"{rig.config.label} default/{name}")
        assert not (rig.directory / "root" / "containers" / container).exists()
        assert not (rig.directory / "root" / "sandboxes" / sandbox).exists()
        assert rig.cgroup_names(container) == []
        assert str(rig.directory) not in read("/proc/mounts")

    node.run(body())


def test_an_end_that_is_told_together_with_the_start_is_not_missed(node: LiveNode) -> None:
    """The runtime is held up until the shim has said both; when is tried at several moments."""

    async def body() -> None:
        rig = node.rig
        sandbox = await rig.sandbox()
        assert rig.process is not None
        for number in range(12):
            container = await rig.create(sandbox, ["/bin/true"], name=f"c{number}")
            request = {"container_id": container}
            start = asyncio.ensure_future(rig.client.call("StartContainer", request))
            await asyncio.sleep(number / 1000)
            rig.process.send_signal(signal.SIGSTOP)
            ended = Path(rig.config.container_dir(container)) / "exit.json"
            with contextlib.suppress(AssertionError):  # Held up before the shim was asked.
                await rig.until(ended.exists, "the process has ended", seconds=0.2)
            rig.process.send_signal(signal.SIGCONT)
            await start
            assert (await rig.finished(container))["reason"] == "Completed"

    node.run(body())
