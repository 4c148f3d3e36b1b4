"""Runtimes that the CRI suite runs on: ours, and Debian's containerd where it is installed."""

import asyncio
import shutil
import subprocess
from pathlib import Path

from component.runtime.rig import Rig
from tiphys.runtime.cgroups.interface import remove_tree
from tiphys.runtime.images.registry_storage import RegistryStorage

CONFIG = """
version = 2
root = "{directory}/containerd-root"
state = "{directory}/containerd-state"
[grpc]
  address = "{directory}/cri.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.k8s.io/pause:3.10"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    conf_dir = "{directory}/no-cni"
  [plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]
    endpoint = ["http://127.0.0.1:{port}"]
  [plugins."io.containerd.grpc.v1.cri".registry.mirrors."registry.k8s.io"]
    endpoint = ["http://127.0.0.1:{port}"]
"""


class ContainerdRig(Rig):
    """containerd with our registry as its mirror; pods use the host's network (no CNI here)."""

    port = 0

    async def start(self) -> None:
        self.port = await self.registry.start("127.0.0.1", 0)
        self.fields["registry_mirrors"] = {"*": []}
        await super().start()

    def _spawn(self) -> None:
        path = self.directory / "config.toml"
        path.write_text(CONFIG.format(directory=self.directory, port=self.port))
        with (self.directory / "runtime.log").open("ab") as log:
            self.process = subprocess.Popen(
                ["containerd", "--config", str(path)], stderr=log, stdin=subprocess.DEVNULL
            )

    async def close(self) -> None:
        """Remove the pods first: their shims are containerd's, not ours to find."""
        for item in (await self.client.call("ListPodSandbox", {})).get("items", []):
            for method in ("StopPodSandbox", "RemovePodSandbox"):
                await self.client.call(method, {"pod_sandbox_id": item["id"]})
        await super().close()
        # runc made groups in hierarchies that ours leaves alone (name=systemd, unified).
        for path in self.cgroup_names(self.fields["cgroup_root"]):
            remove_tree(path)


def make(name: str, directory: Path, storage: RegistryStorage) -> Rig:
    return ContainerdRig(directory, storage) if name == "containerd" else Rig(directory, storage)


def available() -> list[str]:
    return ["tiphys", *(["containerd"] if shutil.which("containerd") else [])]


def run(runner: asyncio.Runner, rig: Rig) -> None:
    runner.run(rig.start())
    runner.run(rig.pull())
