"""A runtime and a registry with the bundled images, as real processes, below a directory."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from tiphys.cri.client import CriClient
from tiphys.cri.errors import CriError
from tiphys.lib.logs import Secret
from tiphys.runtime.config import RuntimeConfig
from tiphys.runtime.images.registry import RegistryServer
from tiphys.runtime.images.registry_storage import RegistryStorage
from tiphys.runtime.purge import purge

BUSYBOX = "docker.io/library/busybox:latest"
PROGRAM = """
import asyncio, json, logging, sys
from tiphys.lib import logs
from tiphys.runtime.config import RuntimeConfig
from tiphys.runtime.run import run
logs.configure(sys.stderr, level=logging.INFO)
asyncio.run(run(RuntimeConfig(**json.loads(sys.argv[1]))))
"""


class Rig:
    """One node's runtime, started and killed at will."""

    def __init__(self, directory: Path, storage: RegistryStorage) -> None:
        self.directory = directory
        self.storage = storage
        self.fields: dict[str, Any] = {
            "profile": f"t{uuid.uuid4().hex[:8]}",
            "node_name": "n",
            "socket_path": str(directory / "cri.sock"),
            "root_dir": str(directory / "root"),
            "state_dir": str(directory / "state"),
            "cgroup_root": "",
            "registry_mirrors": {},
        }
        self.fields["cgroup_root"] = self.fields["profile"]
        self.client = CriClient(self.fields["socket_path"])
        self.pods: dict[str, dict[str, Any]] = {}  # Configs by sandbox, which containers repeat.
        self.process: subprocess.Popen[bytes] | None = None
        self.registry = RegistryServer(storage, Secret(""))

    @property
    def config(self) -> RuntimeConfig:
        return RuntimeConfig(**self.fields)

    async def start(self) -> None:
        if not self.fields["registry_mirrors"]:
            port = await self.registry.start("127.0.0.1", 0)
            self.fields["registry_mirrors"] = {"*": [f"http://127.0.0.1:{port}"]}
        self._spawn()
        await self.until(self._answers, "the runtime answers")

    def _spawn(self) -> None:
        arguments = [sys.executable, "-c", PROGRAM, json.dumps(self.fields)]
        with (self.directory / "runtime.log").open("ab") as log:
            self.process = subprocess.Popen(arguments, stderr=log, stdin=subprocess.DEVNULL)

    async def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.directory / "runtime.log").read_text()
        with contextlib.suppress(CriError):
            await self.client.call("Version", {})
            return True
        return False

    async def until(self, condition: Callable[[], Any], what: str, seconds: float = 20) -> Any:
        """Wait for condition (which may be a coroutine function) to give something true."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = condition()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.01)
        raise AssertionError(f"not within {seconds} s: {what}")

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = None

    async def close(self) -> None:
        self.client.close()
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
        await self.registry.close()
        purge(self.config)

    async def pull(self, name: str = BUSYBOX) -> str:
        answer = await self.client.call("PullImage", {"image": {"image": name}})
        return str(answer["image_ref"])

    def pod(self, name: str = "pod", **linux: Any) -> dict[str, Any]:
        uid = str(uuid.uuid4())
        options = {"pid": "CONTAINER", **linux.pop("namespace_options", {})}
        return {
            "metadata": {"name": name, "uid": uid, "namespace": "default"},
            "hostname": name,
            "log_directory": str(self.directory / "logs" / name),
            "dns_config": {"servers": ["10.96.0.10"], "searches": ["a.b", "b"]},
            "labels": {"app": name},
            "linux": {
                "cgroup_parent": f"/{self.fields['cgroup_root']}/kubepods/besteffort/pod{uid}",
                "security_context": {"namespace_options": options},
                **linux,
            },
        }

    async def sandbox(self, name: str = "pod", **linux: Any) -> str:
        return await self.run_pod(self.pod(name, **linux))

    async def run_pod(self, config: dict[str, Any]) -> str:
        answer = await self.client.call("RunPodSandbox", {"config": config})
        identity = str(answer["pod_sandbox_id"])
        self.pods[identity] = config
        return identity

    async def create(
        self, sandbox: str, command: str | list[str], *, name: str = "c", **config: Any
    ) -> str:
        """A container of busybox that runs command (a text: by the shell)."""
        args = ["sh", "-c", command] if isinstance(command, str) else command
        context = config.pop("context", {})
        options = {"pid": "CONTAINER", **context.pop("namespace_options", {})}
        linux = {"security_context": {"namespace_options": options, **context}}
        linux |= config.pop("linux", {})
        request = {
            "pod_sandbox_id": sandbox,
            "sandbox_config": self.pods[sandbox],
            "config": {
                "metadata": {"name": name},
                "image": {"image": config.pop("image", BUSYBOX)},
                "command": args,
                "log_path": f"{name}/0.log",
                "linux": linux,
                **config,
            },
        }
        return str((await self.client.call("CreateContainer", request))["container_id"])

    async def run(self, sandbox: str, command: str | list[str], **config: Any) -> str:
        container = await self.create(sandbox, command, **config)
        await self.client.call("StartContainer", {"container_id": container})
        return container

    async def status(self, container: str) -> dict[str, Any]:
        answer = await self.client.call("ContainerStatus", {"container_id": container})
        status: dict[str, Any] = answer["status"]
        return status

    async def finished(self, container: str) -> dict[str, Any]:
        async def check() -> dict[str, Any] | None:
            status = await self.status(container)
            return status if status.get("state") == "CONTAINER_EXITED" else None

        found: dict[str, Any] = await self.until(check, "the container ends")
        return found

    async def output(self, sandbox: str, command: str | list[str], **config: Any) -> str:
        """What a container that runs command writes to both streams, once it has ended."""
        container = await self.run(sandbox, command, **config)
        status = await self.finished(container)
        return "".join(line.split(" ", 3)[3] + "\n" for line in log_lines(status))

    async def exec(self, container: str, command: str, **fields: Any) -> dict[str, Any]:
        request = {"container_id": container, "cmd": ["sh", "-c", command], **fields}
        return await self.client.call("ExecSync", request)

    async def verbose(self, container: str) -> dict[str, str]:
        request = {"container_id": container, "verbose": True}
        info: dict[str, str] = (await self.client.call("ContainerStatus", request))["info"]
        return info

    def cgroup_names(self, name: str) -> list[str]:
        """Directories of that name in the cgroup hierarchies."""
        command = ["find", "/sys/fs/cgroup", "-name", name]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        return found.stdout.split()


@contextlib.asynccontextmanager
async def running(directory: Path, storage: RegistryStorage) -> AsyncIterator[Rig]:
    """A started runtime whose traces are removed at the end."""
    rig = Rig(directory, storage)
    try:
        await rig.start()
        yield rig
    finally:
        await rig.close()


def log_lines(status: dict[str, Any]) -> list[str]:
    return Path(status["log_path"]).read_text().splitlines()


def processes_titled(text: str) -> list[int]:
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                if text.encode() in Path(f"/proc/{entry}/cmdline").read_bytes():
                    found.append(int(entry))
    return found
