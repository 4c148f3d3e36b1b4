"""A full disk: pulls fail with the reason, containers go on, and room made is room again."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from component.runtime.rig import Rig, log_lines
from tiphys.cri.errors import CriError
from tiphys.runtime.images import bundled
from tiphys.runtime.images.bundled import Entry
from tiphys.runtime.images.registry_storage import RegistryStorage

pytestmark = pytest.mark.root

BIG = "docker.io/t/big:1"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "disk"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "small", str(path)], check=True)
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


def test_a_full_disk_is_survived(
    tmp_path: Path, small_disk: Path, storage: RegistryStorage
) -> None:
    async def body() -> None:
        rig = Rig(tmp_path, storage)
        rig.fields["root_dir"] = str(small_disk / "root")
        big = bundled.layer({"big": Entry(os.urandom(9 << 20), mode=0o644)})
        bundled.write_image(storage, (BIG,), [big], {})
        try:
            await rig.start()
            await check(rig, small_disk)
        finally:
            await rig.close()

    asyncio.run(asyncio.wait_for(body(), 60))


async def writes(rig: Rig, container: str) -> int:
    """How many times the container's first process has written. Source: proc(5), io."""
    answer = await rig.exec(container, "grep syscw /proc/1/io")
    return int(answer["stdout"].split()[1])


async def check(rig: Rig, disk: Path) -> None:
    with pytest.raises(CriError, match="No space left on device"):
        await rig.pull(BIG)
    await rig.pull()  # What the failed pull had taken is free again.
    pod = rig.pod("full") | {"log_directory": str(disk / "logs")}
    script = "i=0; while :; do echo $i; i=$((i+1)); usleep 2000; done"
    container = await rig.run(await rig.run_pod(pod), script)
    answer = await rig.exec(container, "dd if=/dev/zero of=/fill bs=1M; echo $?")
    assert b"No space left on device" in answer["stderr"]
    before = len(log_lines(await rig.status(container)))
    written = await writes(rig, container)

    async def writes_on() -> bool:  # The container does while its log cannot.
        return await writes(rig, container) > written + 5

    await rig.until(writes_on, "the container writes on")
    assert (await rig.status(container))["state"] == "CONTAINER_RUNNING"
    await rig.exec(container, "rm /fill")

    async def grows() -> bool:
        return len(log_lines(await rig.status(container))) > before + 5

    await rig.until(grows, "the log goes on once there is room")
    await rig.exec(container, "dd if=/dev/zero of=/fill bs=1M")
    await rig.client.call("StopContainer", {"container_id": container, "timeout": 0})
    assert (await rig.status(container))["exit_code"] == 137
    await rig.client.call("RemoveContainer", {"container_id": container})
