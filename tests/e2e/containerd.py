"""Debian's containerd and runc under a private root, as a runtime for our kubelet."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import uuid
from pathlib import Path

from tiphys.cri.client import CriClient
from tiphys.cri.errors import CriError
from tiphys.kubelet import mounts
from tiphys.lib.logs import Secret
from tiphys.runtime.images.registry import RegistryServer
from tiphys.runtime.images.registry_storage import RegistryStorage

CONFIG = """
version = 2
root = "{directory}/root"
state = "{directory}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.aufs"]
[grpc]
  address = "{directory}/c.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.k8s.io/pause:3.10"
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    conf_dir = "{directory}/cni"
    bin_dir = "{directory}/cni-bin"
  [plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]
    endpoint = ["http://127.0.0.1:{port}"]
  [plugins."io.containerd.grpc.v1.cri".registry.mirrors."registry.k8s.io"]
    endpoint = ["http://127.0.0.1:{port}"]
"""


def is_there() -> bool:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"
    return all(shutil.which(name, path=path) for name in ("containerd", "runc"))


class Containerd:
    """One daemon below a directory with a short path (socket names are bounded)."""

    def __init__(self, directory: Path, storage: RegistryStorage) -> None:
        self.directory = directory
        self.socket = str(directory / "c.sock")
        self.cgroup_root = f"t{uuid.uuid4().hex[:8]}"
        self._registry = RegistryServer(storage, Secret(""))
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        port = await self._registry.start("127.0.0.1", 0)
        self._spawn(port)
        client = CriClient(self.socket)
        try:
            async with asyncio.timeout(20):
                while not await self._answers(client):  # noqa: ASYNC110 - it asks a daemon
                    await asyncio.sleep(0.05)
        finally:
            client.close()

    def _spawn(self, port: int) -> None:
        config = self.directory / "config.toml"
        config.write_text(CONFIG.format(directory=self.directory, port=port))
        environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
        with (self.directory / "containerd.log").open("wb") as log:
            self._process = subprocess.Popen(
                ["containerd", "--config", str(config)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=environment,
            )

    async def _answers(self, client: CriClient) -> bool:
        try:
            await client.call("ListContainers", {}, 2.0)
        except CriError:
            return False
        return True

    async def close(self) -> None:
        """Ends the daemon, its shims' sandboxes (removed by the kubelet) and its mounts."""
        await self._registry.close()
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
        for point in mounts.mounts_below(self.directory):
            with contextlib.suppress(OSError):
                mounts.unmount(point)
        _remove_all_groups(self.cgroup_root)


def _remove_all_groups(name: str) -> None:
    """In every hierarchy of cgroup v1; in v2 the first level is the only one."""
    for controller in [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()]:
        _remove_groups(controller / name)


def _remove_groups(folder: Path) -> None:
    if folder.is_dir():
        for child in [p for p in folder.iterdir() if p.is_dir()]:
            _remove_groups(child)
        with contextlib.suppress(OSError):
            folder.rmdir()
