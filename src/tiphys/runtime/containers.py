"""CRI's containers: create, start, stop, remove, status, list, update, logs.

Upstream: cri-api RuntimeService; containerd pkg/cri/server container_*.go (texts and order).
"""

import asyncio
import contextlib
import logging
import os
import secrets
import signal
from collections.abc import Mapping
from typing import Any, Final

from tiphys.cri.errors import CriError, invalid, not_found
from tiphys.runtime.cgroups.interface import child_path
from tiphys.runtime.container_config import (
    host_devices,
    make_places,
    pid_mode,
    restored,
    seccomp_text,
    signal_name,
    stop_signal,
    storable,
)
from tiphys.runtime.images.pull import machine
from tiphys.runtime.images.store import Image
from tiphys.runtime.node import Node
from tiphys.runtime.oci import spec as oci_spec
from tiphys.runtime.records import CREATED, EXITED, READY, RUNNING, Container, Sandbox
from tiphys.runtime.sandboxes import Sandboxes
from tiphys.runtime.selectors import labels_match
from tiphys.runtime.shim_client import ShimError

log = logging.getLogger(__name__)

START_ERROR_CODE: Final = 128  # containerd's errorStartExitCode.
KILL_SECONDS: Final = (
    30.0  # A process that SIGKILL does not end in this time is stuck in the kernel.
)
Call = Mapping[str, Any]
Answer = dict[str, Any]


class Containers:
    def __init__(self, node: Node, sandboxes: Sandboxes) -> None:
        self._node = node
        self._sandboxes = sandboxes
        self._early: dict[str, Call] = {}  # Ends that overtook the answer to their start.

    async def create(self, request: Call) -> Answer:
        sandbox = self._node.sandbox(request.get("pod_sandbox_id", ""))
        config = request.get("config") or {}
        metadata = config.get("metadata") or {}
        if not metadata.get("name"):
            raise invalid("container config must include metadata")
        if sandbox.state != READY:
            raise CriError("UNKNOWN", f"sandbox container {sandbox.id!r} is not running")
        check_supported(config)
        image = self._image(config)
        if image.tags:
            # The kubelet asks by id; users want to see the name, as containerd shows it.
            config = {**config, "image": {**config["image"], "image": image.tags[0]}}
        async with self._node.lock(sandbox.id):
            self._check_name(sandbox, metadata)
            container = self._record(sandbox, config, image)
            directory = self._node.config.container_dir(container.id)
            for name in ("upper", "work", "merged"):
                os.makedirs(os.path.join(directory, name), mode=0o755)
            try:
                self._spec(container, sandbox)  # So that a wrong field fails here.
            except ValueError as exc:
                self._node.records.remove_container(container.id)
                raise invalid(f"failed to generate container spec: {exc}") from exc
            self._node.records.save_container(container)
        self._node.publish(container.id, sandbox.id, "CONTAINER_CREATED_EVENT")
        return {"container_id": container.id}

    def _image(self, config: Call) -> Image:
        name = (config.get("image") or {}).get("image", "")
        image = self._node.images.find(name)
        if image is None:
            raise not_found("image", name)
        return image

    def _check_name(self, sandbox: Sandbox, metadata: Call) -> None:
        for other in self._node.records.containers_of(sandbox.id):
            same = other.metadata.get("attempt", 0) == metadata.get("attempt", 0)
            if same and other.metadata.get("name") == metadata["name"]:
                name = f"{metadata['name']}_{metadata.get('attempt', 0)}"
                raise CriError(
                    "UNKNOWN",
                    f'failed to reserve container name "{name}": name is reserved for "{other.id}"',
                )

    def _record(self, sandbox: Sandbox, config: Call, image: Image) -> Container:
        identity = secrets.token_hex(32)
        log_directory = sandbox.config.get("log_directory", "")
        log_path = config.get("log_path", "")
        parent = (sandbox.config.get("linux") or {}).get("cgroup_parent") or "kubepods"
        try:
            cgroup = child_path(self._node.config.cgroup_root, parent, identity)
        except ValueError as exc:
            raise invalid(str(exc)) from exc
        linux = config.get("linux") or {}
        return Container(
            id=identity,
            sandbox_id=sandbox.id,
            config=storable(config),
            image_id=image.id,
            image_ref=image.digests[0] if image.digests else image.id,
            layers=image.layers,
            image_process=image.process,
            created_at=self._node.now(),
            log_path=os.path.join(log_directory, log_path) if log_path else "",
            cgroup=cgroup,
            resources=dict(linux.get("resources") or {}),
            image_mounts=self._mounted_images(config),
        )

    def _mounted_images(self, config: Call) -> dict[str, list[str]]:
        names = [(m.get("image") or {}).get("image") for m in config.get("mounts") or ()]
        return {
            name: list(reversed(self._image({"image": {"image": name}}).layers))
            for name in names
            if name
        }

    def _spec(self, container: Container, sandbox: Sandbox) -> Answer:
        config = restored(container.config)
        node = self._node
        directory = node.config.container_dir(container.id)
        files = node.config.sandbox_dir(sandbox.id)
        context = (config.get("linux") or {}).get("security_context") or {}
        return oci_spec.build(
            oci_spec.Inputs(
                config=config,
                image_process=container.image_process,
                hostname=self._sandboxes.hostname(sandbox),
                root={
                    "layers_dir": node.images.layers_dir,
                    "layers": list(reversed(container.layers)),
                    "upper": os.path.join(directory, "upper"),
                    "work": os.path.join(directory, "work"),
                    "merged": os.path.join(directory, "merged"),
                },
                files={
                    f"/etc/{name}": os.path.join(files, name)
                    for name in ("hosts", "hostname", "resolv.conf")
                },
                cgroup_path=container.cgroup,
                cgroup_mounts=node.cgroups.mounts(container.cgroup),
                host_devices=host_devices(config, privileged=bool(context.get("privileged"))),
                machine=machine(),
                image_layers=container.image_mounts,
                node_ipc=sandbox.namespace_mode("ipc") == "NODE",
                seccomp_profile=seccomp_text(context),
            )
        )

    def exec_process(self, container: Container, command: list[str], *, tty: bool) -> Answer:
        """The container's process with another command. Raises: ValueError."""
        sandbox = self._node.sandbox(container.sandbox_id)
        process: Answer = self._spec(container, sandbox)["process"]
        return {**process, "args": command, "terminal": tty}

    async def start(self, request: Call) -> Answer:
        container = self._node.container(request.get("container_id", ""))
        async with self._node.lock(container.id):
            if container.state != CREATED:
                state = container.state
                raise CriError("UNKNOWN", f"container {container.id} is in {state} state")
            sandbox = self._node.sandbox(container.sandbox_id)
            if sandbox.state != READY:
                raise CriError("UNKNOWN", f"sandbox container {sandbox.id!r} is not running")
            try:
                await self._start(container, sandbox)
            except (ShimError, OSError, ValueError) as exc:
                self._failed(container, str(exc))
                raise CriError(
                    "UNKNOWN", f"failed to start container {container.id}: {exc}"
                ) from exc
        return {}

    async def _start(self, container: Container, sandbox: Sandbox) -> None:
        config = restored(container.config)
        make_places(config, container.log_path)
        state = await self._node.shim(sandbox.id).call(
            "start",
            container=container.id,
            spec=self._spec(container, sandbox),
            log_path=container.log_path,
            cgroup=container.cgroup,
            pid_mode=pid_mode(config, sandbox),
            stdin=bool(config.get("stdin")),
            stdin_once=bool(config.get("stdin_once")),
            exit_file=os.path.join(self._node.config.container_dir(container.id), "exit.json"),
        )
        self.adopt(container, state)
        log.info("container started", extra=self._about(container, sandbox))
        self._node.publish(container.id, sandbox.id, "CONTAINER_STARTED_EVENT")
        if state["exit"] is None:
            # Both frames of a short process may come at once: its end is read before we go on.
            state = dict(self._early.pop(container.id, state))
        if state["exit"] is not None:
            self.ended(state)

    def _about(self, container: Container, sandbox: Sandbox) -> Answer:
        """Fields of a log line."""
        pod = f"{sandbox.metadata.get('namespace', '')}/{sandbox.metadata['name']}"
        return {"pod": pod, "container": container.metadata["name"], "id": container.id[:12]}

    def adopt(self, container: Container, state: Call) -> None:
        """Take over what a shim says about a container that it has started."""
        container.state = RUNNING
        container.pid = state["pid"]
        container.start_ticks = state["start_ticks"]
        container.started_at = state["started_at"]
        container.user = dict(state["user"])
        self._node.records.save_container(container)

    def _failed(self, container: Container, message: str) -> None:
        self._early.pop(container.id, None)
        container.state = EXITED
        container.exit_code = START_ERROR_CODE
        container.finished_at = self._node.now()
        container.reason = "StartError"
        container.message = message
        self._node.exited(container)

    def ended(self, state: Call) -> None:
        """A shim says that a container has ended."""
        container = self._node.records.containers.get(state["id"])
        if container is not None and container.state == CREATED:
            self._early[container.id] = state
        if container is not None and container.state == RUNNING:
            container.ended(state["exit"])
            sandbox = self._node.records.sandboxes[container.sandbox_id]
            fields = {"exit_code": container.exit_code, "reason": container.reason}
            log.info("container ended", extra=self._about(container, sandbox) | fields)
            self._node.exited(container)

    async def stop(self, request: Call) -> Answer:
        container = self._node.records.containers.get(request.get("container_id", ""))
        if container is None:
            return {}
        async with self._node.lock(container.id):
            if container.state == RUNNING:
                await self._stop(container, float(request.get("timeout", 0)))
        return {}

    async def _stop(self, container: Container, seconds: float) -> None:
        client = self._node.shim(container.sandbox_id)
        if seconds > 0:
            number = stop_signal(container)
            await client.call("kill", container=container.id, signal=number)
            if await self._node.wait_exit(container, seconds):
                return
        await client.call("kill", container=container.id, signal=int(signal.SIGKILL))
        if not await self._node.wait_exit(container, KILL_SECONDS):
            raise CriError("DEADLINE_EXCEEDED", f"container {container.id} does not end")

    async def remove(self, request: Call) -> Answer:
        container = self._node.records.containers.get(request.get("container_id", ""))
        if container is None:
            return {}
        async with self._node.lock(container.id):
            if container.state == RUNNING:
                await self._stop(container, 0)
            if client := self._node.shims.get(container.sandbox_id):
                with contextlib.suppress(ShimError):
                    await client.call("forget", container=container.id)
            self._node.cgroups.remove(container.cgroup)
            await asyncio.to_thread(self._node.records.remove_container, container.id)
        self._node.forget_lock(container.id)
        self._node.publish(container.id, container.sandbox_id, "CONTAINER_DELETED_EVENT")
        return {}

    async def status(self, request: Call) -> Answer:
        container = self._node.container(request.get("container_id", ""))
        found: Answer = {"status": full_status(container)}
        if request.get("verbose"):
            found["info"] = {"pid": str(container.pid), "sandboxID": container.sandbox_id}
        return found

    async def list(self, request: Call) -> Answer:
        wanted = request.get("filter") or {}
        state = wanted.get("state")
        items = [
            summary(container)
            for container in self._node.records.containers.values()
            if container.id.startswith(wanted.get("id", ""))
            and container.sandbox_id.startswith(wanted.get("pod_sandbox_id", ""))
            and (state is None or container.state == state.get("state", CREATED))
            and labels_match(wanted.get("label_selector"), container.config.get("labels"))
        ]
        return {"containers": sorted(items, key=lambda item: -item["created_at"])}

    async def update(self, request: Call) -> Answer:
        container = self._node.container(request.get("container_id", ""))
        given = request.get("linux") or {}
        async with self._node.lock(container.id):
            container.resources |= {key: value for key, value in given.items() if value}
            if container.state == RUNNING:
                try:
                    self._node.cgroups.update(container.cgroup, oci_spec.resources(given))
                except (OSError, ValueError) as exc:
                    raise CriError("UNKNOWN", f"failed to update resources: {exc}") from exc
            self._node.records.save_container(container)
        return {}

    async def reopen_log(self, request: Call) -> Answer:
        container = self._node.container(request.get("container_id", ""))
        if container.state != RUNNING:
            raise CriError("UNKNOWN", "container is not running")
        try:
            await self._node.shim(container.sandbox_id).call("reopen_log", container=container.id)
        except ShimError as exc:
            raise CriError("UNKNOWN", str(exc)) from exc
        return {}


def check_supported(config: Call) -> None:
    """Refuse confinement that we cannot give, rather than run the container without it.

    Raises: CriError.
    """
    context = (config.get("linux") or {}).get("security_context") or {}
    if (context.get("apparmor") or {}).get("profile_type") == "Localhost":
        raise invalid("AppArmor profiles are not supported by this runtime yet")


def summary(container: Container) -> Answer:
    return {
        "id": container.id,
        "pod_sandbox_id": container.sandbox_id,
        "metadata": container.metadata,
        "image": container.config.get("image") or {},
        "image_ref": container.image_ref,
        "image_id": container.image_id,
        "state": container.state,
        "created_at": container.created_at,
        "labels": container.config.get("labels") or {},
        "annotations": container.config.get("annotations") or {},
    }


def full_status(container: Container) -> Answer:
    """ContainerStatus."""
    found = summary(container)
    del found["pod_sandbox_id"]
    user = container.user
    return {
        **found,
        "started_at": container.started_at,
        "finished_at": container.finished_at,
        "exit_code": container.exit_code,
        "reason": container.reason,
        "message": container.message,
        "mounts": container.config.get("mounts") or [],
        "log_path": container.log_path,
        "resources": {"linux": container.resources},
        "stop_signal": signal_name(container),
        "user": {
            "linux": {
                "uid": user["uid"],
                "gid": user["gid"],
                "supplemental_groups": user["groups"],
            }
        }
        if user
        else None,
    }
