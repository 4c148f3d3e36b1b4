"""CRI's pod sandboxes: run, stop, remove, status, list.

Upstream: cri-api RuntimeService; containerd pkg/cri/server sandbox_*.go (texts and order).
"""

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final

from tiphys.cri.errors import CriError, invalid
from tiphys.runtime.cgroups.interface import child_path
from tiphys.runtime.node import Node
from tiphys.runtime.oci import spec as oci_spec
from tiphys.runtime.records import NOT_READY, READY, RUNNING, Sandbox, boot_id
from tiphys.runtime.selectors import labels_match
from tiphys.runtime.shim_client import ShimClient, ShimError, ShimGone

log = logging.getLogger(__name__)

FORK_TRIES_MAX: Final = 3
HANDLERS: Final = ("", "runc")  # Names under which pods ask for the default handler.
IPC_SYSCTLS: Final = frozenset(
    f"kernel.{name}"
    for name in (
        "msgmax",
        "msgmnb",
        "msgmni",
        "sem",
        "shmall",
        "shmmax",
        "shmmni",
        "shm_rmid_forced",
    )
)
Call = Mapping[str, Any]
Answer = dict[str, Any]


class Sandboxes:
    def __init__(self, node: Node, on_exit: Callable[[dict[str, Any]], None]) -> None:
        self._node = node
        self._on_exit = on_exit

    async def run(self, request: Call) -> Answer:
        config = request.get("config") or {}
        metadata = config.get("metadata") or {}
        if not metadata.get("name") or not metadata.get("uid"):
            raise invalid("sandbox config must include metadata")
        if request.get("runtime_handler", "") not in HANDLERS:
            handler = request["runtime_handler"]
            raise invalid(f'no runtime for "{handler}" is configured')
        check_supported(config)
        self._check_name(metadata)
        sandbox = Sandbox(
            id=secrets.token_hex(32),
            config=dict(config),
            created_at=self._node.now(),
            runtime_handler=request.get("runtime_handler", ""),
        )
        async with self._node.lock(sandbox.id):
            self._node.records.save_sandbox(sandbox)
            try:
                await self._start(sandbox)
            except (ShimError, OSError, ValueError) as exc:
                await self._tear_down(sandbox)
                self._node.records.remove_sandbox(sandbox.id)
                raise CriError("UNKNOWN", f"failed to start sandbox: {exc}") from exc
        fields = {"pod": f"{metadata.get('namespace', '')}/{metadata['name']}"}
        log.info("sandbox started", extra=fields | {"id": sandbox.id[:12]})
        self._node.publish(sandbox.id, sandbox.id, "CONTAINER_CREATED_EVENT")
        self._node.publish(sandbox.id, sandbox.id, "CONTAINER_STARTED_EVENT")
        return {"pod_sandbox_id": sandbox.id}

    def _check_name(self, metadata: Call) -> None:
        for other in self._node.records.sandboxes.values():
            if other.metadata.get("uid") == metadata["uid"] and (
                other.metadata.get("attempt", 0) == metadata.get("attempt", 0)
            ):
                name = "_".join(str(metadata.get(k, "")) for k in ("name", "namespace", "uid"))
                raise CriError(
                    "UNKNOWN",
                    f'failed to reserve sandbox name "{name}": name is reserved for "{other.id}"',
                )

    async def _start(self, sandbox: Sandbox) -> None:
        node = self._node
        if log_directory := sandbox.config.get("log_directory"):
            os.makedirs(log_directory, 0o755, exist_ok=True)
        self._write_files(sandbox)
        linux = sandbox.config.get("linux") or {}
        if parent := self.cgroup_of(sandbox):
            node.cgroups.create(parent, oci_spec.resources(linux.get("resources") or {}))
        client, state = await self._fork(sandbox)
        node.shims[sandbox.id] = client
        sandbox.shim = {
            "pid": state["pid"],
            "start_ticks": state["start_ticks"],
            "boot_id": boot_id(),
        }
        node.records.save_sandbox(sandbox)
        if sandbox.namespace_mode("network") != "NODE":
            sandbox.network_attached = True
            await self._attach(sandbox)
        sandbox.state = READY
        node.records.save_sandbox(sandbox)

    async def _fork(self, sandbox: Sandbox) -> tuple[ShimClient, Answer]:
        """A new shim and its state; once more when the zygote died with the request in hand.

        Raises: ShimError, OSError.
        """
        for attempt in range(FORK_TRIES_MAX):
            client = self.client(sandbox)
            try:
                socket = self._node.zygote_socket()
                return client, await client.create(socket, self._description(sandbox))
            except ShimGone:
                if attempt == FORK_TRIES_MAX - 1:
                    raise
        raise AssertionError("the last try returns or raises")

    async def _attach(self, sandbox: Sandbox) -> None:
        try:
            namespace = Path(sandbox.netns_path)
            sandbox.addresses = await self._node.network.attach(namespace, sandbox.id)
        except OSError as exc:  # What a network says is the reason that the pod's event shows.
            raise ShimError(f'failed to setup network for sandbox "{sandbox.id}": {exc}') from exc

    def client(self, sandbox: Sandbox) -> ShimClient:
        """A client for the sandbox's shim, not connected yet."""
        path = self._node.config.shim_socket(sandbox.id)
        return ShimClient(path, self._on_exit, lambda: self._shim_gone(sandbox))

    def _shim_gone(self, sandbox: Sandbox) -> None:
        """The shim ended: expected after `stop`, else the whole pod is lost."""
        self._node.shims.pop(sandbox.id, None)
        if sandbox.state != READY:
            return
        log.warning("shim ended", extra={"sandbox": sandbox.id, "pod": sandbox.metadata["name"]})
        sandbox.state = NOT_READY
        self._node.records.save_sandbox(sandbox)
        for container in self._node.records.containers_of(sandbox.id):
            if container.state == RUNNING:
                record = self._node.records.exit_record(container.id)
                if record is not None:
                    container.ended(record)
                else:
                    container.lost(self._node.now())
                self._node.cgroups.remove(container.cgroup)
                self._node.exited(container)
        self._node.publish(sandbox.id, sandbox.id, "CONTAINER_STOPPED_EVENT")

    def cgroup_of(self, sandbox: Sandbox) -> str:
        """The pod's group, "" when the kubelet gave none. Raises: ValueError."""
        parent = (sandbox.config.get("linux") or {}).get("cgroup_parent", "")
        if not parent:
            return ""
        return child_path(self._node.config.cgroup_root, parent, "x").rpartition("/")[0]

    def _description(self, sandbox: Sandbox) -> Answer:
        config = self._node.config
        kinds: list[str] = []
        if sandbox.namespace_mode("network") != "NODE":
            kinds += ["net", "uts"]
        if sandbox.namespace_mode("ipc") != "NODE":
            kinds.append("ipc")
        name, namespace = sandbox.metadata["name"], sandbox.metadata.get("namespace", "")
        sysctls = (sandbox.config.get("linux") or {}).get("sysctls") or {}
        check_sysctls(sysctls, kinds)
        return {
            "sandbox_id": sandbox.id,
            "title": f"tiphys: shim {config.label} {namespace}/{name}",
            "socket_path": config.shim_socket(sandbox.id),
            "namespaces": kinds,
            "hostname": sandbox.config.get("hostname", ""),
            "sysctls": sysctls,
            "scratch_dir": os.path.join(config.sandbox_dir(sandbox.id), "shm"),
            "shm_bytes": config.shm_bytes,
            "shares_pids": sandbox.namespace_mode("pid") == "POD",
            "enter": list(config.namespaces),
        }

    def _write_files(self, sandbox: Sandbox) -> None:
        directory = self._node.config.sandbox_dir(sandbox.id)
        os.makedirs(os.path.join(directory, "shm"), exist_ok=True)
        hostname = self.hostname(sandbox)
        files = {
            "hostname": f"{hostname}\n",
            "hosts": f"127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.0.1\t{hostname}\n",
            "resolv.conf": resolver_file(sandbox.config.get("dns_config") or {}),
        }
        for name, text in files.items():
            with open(os.path.join(directory, name), "w") as file:
                file.write(text)

    def hostname(self, sandbox: Sandbox) -> str:
        return sandbox.config.get("hostname") or socket.gethostname()

    async def stop(self, request: Call) -> Answer:
        sandbox = self._node.records.sandboxes.get(request.get("pod_sandbox_id", ""))
        if sandbox is not None:
            async with self._node.lock(sandbox.id):
                await self._stop(sandbox)
        return {}

    async def _stop(self, sandbox: Sandbox) -> None:
        was_ready = sandbox.state == READY
        sandbox.state = NOT_READY
        await self._tear_down(sandbox)
        self._node.records.save_sandbox(sandbox)
        if was_ready:
            self._node.publish(sandbox.id, sandbox.id, "CONTAINER_STOPPED_EVENT")

    async def _tear_down(self, sandbox: Sandbox) -> None:
        """End containers and shim, leave the network. Raises: CriError when that fails."""
        if sandbox.network_attached:
            try:
                await self._node.network.detach(sandbox.id)
            except OSError as exc:  # The kubelet tries again with what it hears.
                raise CriError("UNKNOWN", f"failed to destroy network: {exc}") from exc
            sandbox.network_attached = False
        client = self._node.shims.get(sandbox.id)
        if client is not None:
            try:
                await client.call("shutdown")
            except ShimError as exc:
                log.info("shim left", extra={"sandbox": sandbox.id, "why": str(exc)})
            await client.close()
            self._node.shims.pop(sandbox.id, None)
        for container in self._node.records.containers_of(sandbox.id):
            if container.state == RUNNING:
                container.ended(
                    self._node.records.exit_record(container.id)
                    or {"exit_code": 137, "finished_at": self._node.now()}
                )
                self._node.exited(container)
        sandbox.shim = {}
        if parent := self.cgroup_of(sandbox):
            self._node.cgroups.remove(parent)

    async def remove(self, request: Call) -> Answer:
        sandbox = self._node.records.sandboxes.get(request.get("pod_sandbox_id", ""))
        if sandbox is None:
            return {}
        async with self._node.lock(sandbox.id):
            await self._stop(sandbox)
            for container in self._node.records.containers_of(sandbox.id):
                await asyncio.to_thread(self._node.records.remove_container, container.id)
                self._node.forget_lock(container.id)
                self._node.publish(container.id, sandbox.id, "CONTAINER_DELETED_EVENT")
            self._node.records.remove_sandbox(sandbox.id)
        self._node.forget_lock(sandbox.id)
        self._node.publish(sandbox.id, sandbox.id, "CONTAINER_DELETED_EVENT")
        return {}

    async def update(self, request: Call) -> Answer:
        """UpdatePodSandboxResources: the limits of the pod's group."""
        sandbox = self._node.sandbox(request.get("pod_sandbox_id", ""))
        if group := self.cgroup_of(sandbox):
            given = oci_spec.resources(request.get("resources") or {})
            try:
                self._node.cgroups.update(group, given)
            except (OSError, ValueError) as exc:
                raise CriError("UNKNOWN", f"failed to update resources: {exc}") from exc
        return {}

    async def status(self, request: Call) -> Answer:
        sandbox = self._node.sandbox(request.get("pod_sandbox_id", ""))
        answer = self._node.describe(sandbox.id)
        found: Answer = {
            "status": answer["pod_sandbox_status"],
            "containers_statuses": answer["containers_statuses"],
            "timestamp": self._node.now(),
        }
        if request.get("verbose"):
            found["info"] = {"pid": str(sandbox.shim.get("pid", 0)), "netns": sandbox.netns_path}
        return found

    async def list(self, request: Call) -> Answer:
        wanted = request.get("filter") or {}
        state = wanted.get("state")
        items = [
            summary(sandbox)
            for sandbox in self._node.records.sandboxes.values()
            if sandbox.id.startswith(wanted.get("id", ""))
            and (state is None or sandbox.state == state.get("state", READY))
            and labels_match(wanted.get("label_selector"), sandbox.config.get("labels"))
        ]
        return {"items": sorted(items, key=lambda item: -item["created_at"])}


def summary(sandbox: Sandbox) -> Answer:
    return {
        "id": sandbox.id,
        "metadata": sandbox.metadata,
        "state": sandbox.state,
        "created_at": sandbox.created_at,
        "labels": sandbox.config.get("labels") or {},
        "annotations": sandbox.config.get("annotations") or {},
        "runtime_handler": sandbox.runtime_handler,
    }


def full_status(sandbox: Sandbox) -> Answer:
    """PodSandboxStatus."""
    network = None
    if sandbox.addresses and sandbox.state == READY:
        more = [{"ip": address} for address in sandbox.addresses[1:]]
        network = {"ip": sandbox.addresses[0], "additional_ips": more}
    context = (sandbox.config.get("linux") or {}).get("security_context") or {}
    options = context.get("namespace_options") or {}
    return {
        **summary(sandbox),
        "network": network or {},
        "linux": {"namespaces": {"options": options}},
    }


def check_supported(config: Call) -> None:
    """Refuse isolation that we cannot give, rather than run the pod without it.

    Raises: CriError.
    """
    context = (config.get("linux") or {}).get("security_context") or {}
    users = (context.get("namespace_options") or {}).get("userns_options")
    if users is not None and users.get("mode", "POD") != "NODE":
        raise invalid("user namespaces are not supported by this runtime yet")


def check_sysctls(sysctls: Call, namespaces: Collection[str]) -> None:
    """Only what belongs to a namespace of the pod may be set: the rest is the node's.

    Raises: ValueError. Source: man 7 ipc_namespaces; runc libcontainer/configs/validate.
    """
    for name in sysctls:
        dotted = name.replace("/", ".")
        ours = "net" in namespaces and dotted.startswith("net.")
        if "ipc" in namespaces:
            ours = ours or dotted.startswith("fs.mqueue.") or dotted in IPC_SYSCTLS
        if not ours:
            raise ValueError(f"sysctl {name!r} is not in a separate kernel namespace")


def resolver_file(dns: Call) -> str:
    """/etc/resolv.conf. Source: man 5 resolv.conf."""
    lines = []
    if dns.get("searches"):
        lines.append(f"search {' '.join(dns['searches'])}")
    lines += [f"nameserver {server}" for server in dns.get("servers") or ()]
    if dns.get("options"):
        lines.append(f"options {' '.join(dns['options'])}")
    return "".join(f"{line}\n" for line in lines)
