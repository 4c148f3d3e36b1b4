"""RUN: a command in a container of our own runtime, whose upper directory is the layer.

The builder is a runtime of its own (records, shims, cgroup), in one process with the command, so a
command of a Dockerfile has exactly the confinement that a pod's container has.
"""

import contextlib
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tiphys.cri.errors import CriError
from tiphys.runtime import purge
from tiphys.runtime.cgroups.interface import detect
from tiphys.runtime.config import RuntimeConfig
from tiphys.runtime.images.store import Image, ImageStore
from tiphys.runtime.node import Node
from tiphys.runtime.service import Service

CGROUP_PARENT: Final = "kubepods"
HOSTNAME: Final = "buildkitsandbox"  # As in Docker's builds.
STUBS: Final = "stubs"  # The lowest layer of every RUN: what the runtime mounts over.
STUB_DIRECTORIES: Final = ("proc", "sys", "dev", "etc")
STUB_FILES: Final = ("etc/hosts", "etc/hostname", "etc/resolv.conf")
NO_NETWORK: Final = "none"
FOLLOW_SECONDS: Final = 0.05  # How often new output is looked for.


class RunError(Exception):
    """A command that could not be run, or said no."""


@dataclass(frozen=True)
class Command:
    """One RUN: config is the image's so far; environment holds the build's arguments too."""

    args: Sequence[str]
    config: Mapping[str, Any]
    environment: Mapping[str, str]
    layers: Sequence[str]  # Directory names, lowest first.
    network: str = "default"  # Or NO_NETWORK.


@dataclass
class Runner:
    """The runtime of one build; `opened` starts and ends it."""

    config: RuntimeConfig
    masked_paths: Sequence[str] = ()
    readonly_paths: Sequence[str] = ()
    dns: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for path in (self.config.root_dir, self.config.state_dir):
            os.makedirs(path, mode=0o711, exist_ok=True)
        os.makedirs(os.path.join(self.config.state_dir, "shims"), mode=0o711, exist_ok=True)
        self.images = ImageStore(self.config.images_dir)
        self._make_stubs()
        self._sandboxes: dict[str, str] = {}
        self._node = Node(self.config, detect(), self.images)
        self._service = Service(self._node)

    def _make_stubs(self) -> None:
        base = os.path.join(self.images.layers_dir, STUBS)
        for name in STUB_DIRECTORIES:
            os.makedirs(os.path.join(base, name), mode=0o755, exist_ok=True)
        for name in STUB_FILES:
            with open(os.path.join(base, name), "a"):
                pass

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """What an interrupted build left is ended first; nothing runs afterwards."""
        self._end_leftovers()
        try:
            yield
        finally:
            for identity in self._sandboxes.values():
                await self._service.sandboxes.remove({"pod_sandbox_id": identity})
            self._sandboxes.clear()
            await self._node.close()
            self._end_leftovers()
            shutil.rmtree(self.config.state_dir, ignore_errors=True)
            with contextlib.suppress(OSError):  # Profiles may have theirs beside it.
                os.rmdir(os.path.dirname(self.config.state_dir))

    def _end_leftovers(self) -> None:
        purge.stop(self.config, grace_seconds=0)
        for name in ("containers", "sandboxes", "logs"):
            shutil.rmtree(os.path.join(self.config.root_dir, name), ignore_errors=True)

    @contextlib.asynccontextmanager
    async def run(self, command: Command, say: Callable[[bytes], None]) -> AsyncIterator[str]:
        """Run to the end; gives the directory that holds what the command changed.

        Raises: RunError.
        """
        try:
            container = await self._create(command)
            try:
                code = await self._until_exit(container, say)
                if code != 0:
                    words, why = " ".join(command.args), self._why(container)
                    raise RunError(f"The command '{words}' returned a non-zero code: {code}{why}")
                yield os.path.join(self.config.container_dir(container), "upper")
            finally:
                await self._service.containers.remove({"container_id": container})
        except CriError as exc:
            raise RunError(exc.message) from exc

    def _why(self, container: str) -> str:
        reason = self._node.container(container).reason
        return f" ({reason})" if reason not in ("Error", "") else ""

    async def _create(self, command: Command) -> str:
        sandbox = await self._sandbox(command.network)
        process = {
            "User": command.config.get("User") or "",
            "WorkingDir": command.config.get("WorkingDir") or "/",
            "Env": [f"{key}={value}" for key, value in command.environment.items()],
        }
        layers = [STUBS, *command.layers]
        image = Image(secrets.token_hex(32), layers, 0, {"config": process})
        self.images.hold(image)
        try:
            answer = await self._service.containers.create(
                {"pod_sandbox_id": sandbox, "config": self._container_config(command, image.id)}
            )
        finally:
            self.images.let_go(image)
        return str(answer["container_id"])

    async def _sandbox(self, network: str) -> str:
        """The node's network, or with "none" one that has only its loopback."""
        if found := self._sandboxes.get(network):
            return found
        options = {"network": "POD" if network == NO_NETWORK else "NODE", "pid": "CONTAINER"}
        name = f"build-{secrets.token_hex(4)}"
        config = {
            "metadata": {"name": name, "uid": name, "namespace": "tiphys-build"},
            "hostname": HOSTNAME,
            "log_directory": os.path.join(self.config.root_dir, "logs"),
            "dns_config": {key: list(values) for key, values in self.dns.items()},
            "linux": {
                "cgroup_parent": f"{self.config.cgroup_root}/{CGROUP_PARENT}",
                "security_context": {"namespace_options": options},
            },
        }
        answer = await self._service.sandboxes.run({"config": config})
        self._sandboxes[network] = str(answer["pod_sandbox_id"])
        return self._sandboxes[network]

    def _container_config(self, command: Command, image: str) -> dict[str, Any]:
        return {
            "metadata": {"name": f"run-{secrets.token_hex(8)}"},
            "image": {"image": image},
            "command": list(command.args),
            "log_path": f"{secrets.token_hex(8)}.log",
            "linux": {
                "security_context": {
                    "namespace_options": {"pid": "CONTAINER"},
                    "masked_paths": list(self.masked_paths),
                    "readonly_paths": list(self.readonly_paths),
                }
            },
        }

    async def _until_exit(self, container: str, say: Callable[[bytes], None]) -> int:
        record = self._node.container(container)
        await self._service.containers.start({"container_id": container})
        follower = _Follower(record.log_path, say)
        while not await self._node.wait_exit(record, FOLLOW_SECONDS):
            follower.follow()
        follower.follow()
        os.unlink(record.log_path)
        return record.exit_code


class _Follower:
    """Takes the time stamps off a container's log (`TIME STREAM F|P TEXT`) as it grows."""

    def __init__(self, path: str, say: Callable[[bytes], None]) -> None:
        self._path = path
        self._at = 0
        self._say = say

    def follow(self) -> None:
        """Say the whole lines that are new."""
        with open(self._path, "rb") as log:
            log.seek(self._at)
            for line in log:
                if not line.endswith(b"\n"):
                    return
                self._at += len(line)
                _, _, kind, text = [*line.split(b" ", 3), b"", b"", b""][:4]
                self._say(text if kind == b"F" else text.removesuffix(b"\n"))
