"""Real containers of a pulled image, through the CRI socket."""

import asyncio
import re
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from component.runtime.rig import BUSYBOX, Rig, log_lines, running
from tiphys.cri.errors import CriError
from tiphys.runtime.images import bundled
from tiphys.runtime.images.registry_storage import RegistryStorage

pytestmark = pytest.mark.root
Body = Callable[[Rig], Coroutine[Any, Any, None]]


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> RegistryStorage:
    found = RegistryStorage(str(tmp_path_factory.mktemp("registry")))
    bundled.build(found)
    return found


@pytest.fixture
def run(tmp_path: Path, storage: RegistryStorage) -> Callable[[Body], None]:
    def runner(body: Body) -> None:
        async def main() -> None:
            async with running(tmp_path, storage) as rig:
                await rig.pull()
                await body(rig)

        asyncio.run(main())

    return runner


def test_a_container_starts_logs_is_executed_in_and_stops(run: Callable[[Body], None]) -> None:
    async def body(rig: Rig) -> None:
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
        await rig.client.call("RemovePodSandbox", {"pod_sandbox_id": sandbox})
        assert await rig.client.call("ListContainers", {}) == {}
        with pytest.raises(CriError, match="NOT_FOUND"):
            await rig.status(container)

    run(body)
