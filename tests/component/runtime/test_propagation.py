"""Mounts that are made while a container runs, in both directions. Source: KEP-432."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from component.runtime.rig import PROGRAM, Rig
from tiphys.runtime.images.registry_storage import RegistryStorage

pytestmark = pytest.mark.root


class SharedRig(Rig):
    """A runtime in a mount namespace whose mounts are shared, as systemd makes the host's."""

    def _spawn(self) -> None:
        arguments = [sys.executable, "-c", PROGRAM, json.dumps(self.fields)]
        with (self.directory / "runtime.log").open("ab") as log:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "shared", *arguments],
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def on_node(self, *command: str) -> str:
        """Run a command in the runtime's mount namespace."""
        assert self.process is not None
        enter = ["nsenter", "-t", str(self.process.pid), "-m"]
        found = subprocess.run([*enter, *command], capture_output=True, text=True, check=True)
        return found.stdout


def test_mounts_propagate_as_asked(tmp_path: Path, storage: RegistryStorage) -> None:
    async def body() -> None:
        rig = SharedRig(tmp_path, storage)
        try:
            await rig.start()
            await rig.pull()
            await check(rig)
        finally:
            await rig.close()

    asyncio.run(asyncio.wait_for(body(), 60))


async def check(rig: SharedRig) -> None:
    volume = str(rig.directory / "volume")
    os.makedirs(f"{volume}/late")
    os.makedirs(f"{volume}/inner")
    mounts = [
        {"container_path": "/none", "host_path": volume},
        {
            "container_path": "/slave",
            "host_path": volume,
            "propagation": "PROPAGATION_HOST_TO_CONTAINER",
        },
        {
            "container_path": "/both",
            "host_path": volume,
            "propagation": "PROPAGATION_BIDIRECTIONAL",
        },
    ]
    container = await rig.run(
        await rig.sandbox("mounts"), "sleep 100", mounts=mounts, context={"privileged": True}
    )
    rig.on_node("mount", "-t", "tmpfs", "late", f"{volume}/late")
    rig.on_node("touch", f"{volume}/late/seen")
    answer = await rig.exec(
        container, "ls /none/late; echo -; ls /slave/late; echo -; ls /both/late"
    )
    assert answer["stdout"].decode().split("\n") == ["-", "seen", "-", "seen", ""]
    await rig.exec(container, "mount -t tmpfs inner /both/inner && touch /both/inner/up")
    assert rig.on_node("ls", f"{volume}/inner") == "up\n"
    await rig.exec(container, "mount -t tmpfs inner /slave/late && touch /slave/late/hidden")
    assert rig.on_node("ls", f"{volume}/late") == "seen\n"
    # Nothing of the container's own mounts has come to the node.
    mounted = rig.on_node("cat", "/proc/self/mounts").splitlines()
    assert [line for line in mounted if "overlay" in line and str(rig.directory) in line] == []
