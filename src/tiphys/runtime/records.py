"""Sandboxes and containers as the runtime knows them, in memory and on the disk.

    sandboxes/ID/sandbox.json   containers/ID/container.json, exit.json (written by the shim)

A record is replaced whole. One that a power cut left unreadable is dropped with its files: the
kubelet then makes the pod again.
"""

import contextlib
import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from tiphys.runtime.config import RuntimeConfig
from tiphys.runtime.images.store import write_atomically

READY: Final = "SANDBOX_READY"
NOT_READY: Final = "SANDBOX_NOTREADY"
CREATED: Final = "CONTAINER_CREATED"
RUNNING: Final = "CONTAINER_RUNNING"
EXITED: Final = "CONTAINER_EXITED"
UNKNOWN_EXIT_CODE: Final = 255  # containerd's, for a container whose end nobody saw.


@dataclass
class Sandbox:
    """A pod. `shim` is pid, start_ticks and boot_id of its shim while there is one."""

    id: str
    config: dict[str, Any]
    created_at: int  # Nanoseconds since the epoch, as all times of CRI.
    runtime_handler: str = ""
    state: str = NOT_READY
    addresses: list[str] = field(default_factory=list)
    shim: dict[str, Any] = field(default_factory=dict)
    network_attached: bool = False

    @property
    def metadata(self) -> dict[str, Any]:
        return self.config.get("metadata") or {}

    def namespace_mode(self, kind: str) -> str:
        """ "POD", "CONTAINER" or "NODE" for "network", "pid" or "ipc"."""
        context = (self.config.get("linux") or {}).get("security_context") or {}
        options = context.get("namespace_options") or {}
        return str(options.get(kind) or "POD")

    @property
    def netns_path(self) -> str:
        return f"/proc/{self.shim['pid']}/ns/net" if self.shim else ""


@dataclass
class Container:
    """A container; exit fields have meaning once it is EXITED, `pid` while it runs."""

    id: str
    sandbox_id: str
    config: dict[str, Any]
    image_id: str
    image_ref: str
    layers: list[str]
    image_process: dict[str, Any]
    created_at: int
    log_path: str
    cgroup: str
    state: str = CREATED
    pid: int = 0
    start_ticks: int = 0
    started_at: int = 0
    finished_at: int = 0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    user: dict[str, Any] = field(default_factory=dict)
    resources: dict[str, Any] = field(default_factory=dict)
    image_mounts: dict[str, list[str]] = field(default_factory=dict)
    """Layers, topmost first, of the images that are mounted, by the name in the mount."""

    @property
    def metadata(self) -> dict[str, Any]:
        return self.config.get("metadata") or {}

    def ended(self, record: dict[str, Any]) -> None:
        """Take over what the shim recorded."""
        self.state = EXITED
        self.pid = 0
        self.exit_code = record["exit_code"]
        self.finished_at = record["finished_at"]
        self.started_at = record.get("started_at") or self.started_at
        self.reason = "Completed" if self.exit_code == 0 else "Error"
        if record.get("oom_killed"):
            self.reason = "OOMKilled"

    def lost(self, now: int) -> None:
        """Its shim is gone and left no record."""
        self.state = EXITED
        self.pid = 0
        self.exit_code = UNKNOWN_EXIT_CODE
        self.finished_at = now
        self.reason = "Unknown"


class Records:
    """All sandboxes and containers of a node; one process owns the directory."""

    def __init__(self, config: RuntimeConfig) -> None:
        self._config = config
        self.sandboxes: dict[str, Sandbox] = {}
        self.containers: dict[str, Container] = {}

    def load(self) -> None:
        for identity, row in self._read("sandboxes", "sandbox.json"):
            self.sandboxes[identity] = Sandbox(**row)
        for identity, row in self._read("containers", "container.json"):
            container = Container(**row)
            if container.sandbox_id in self.sandboxes:
                self.containers[identity] = container
            else:
                shutil.rmtree(self._config.container_dir(identity), ignore_errors=True)

    def _read(self, kind: str, name: str) -> list[tuple[str, dict[str, Any]]]:
        base = os.path.join(self._config.root_dir, kind)
        os.makedirs(base, mode=0o700, exist_ok=True)
        rows = []
        for identity in sorted(os.listdir(base)):
            try:
                with open(os.path.join(base, identity, name), "rb") as file:
                    row = json.load(file)
                if row["id"] != identity:
                    raise ValueError("a record of something else")
                rows.append((identity, row))
            except (OSError, ValueError, KeyError):
                shutil.rmtree(os.path.join(base, identity), ignore_errors=True)
        return rows

    def save_sandbox(self, sandbox: Sandbox) -> None:
        self.sandboxes[sandbox.id] = sandbox
        directory = self._config.sandbox_dir(sandbox.id)
        _save(os.path.join(directory, "sandbox.json"), asdict(sandbox))

    def save_container(self, container: Container) -> None:
        self.containers[container.id] = container
        directory = self._config.container_dir(container.id)
        _save(os.path.join(directory, "container.json"), asdict(container))

    def exit_record(self, container_id: str) -> dict[str, Any] | None:
        path = os.path.join(self._config.container_dir(container_id), "exit.json")
        with contextlib.suppress(OSError, ValueError), open(path, "rb") as file:
            found: dict[str, Any] = json.load(file)
            return found
        return None

    def remove_sandbox(self, sandbox_id: str) -> None:
        self.sandboxes.pop(sandbox_id, None)
        shutil.rmtree(self._config.sandbox_dir(sandbox_id), ignore_errors=True)

    def remove_container(self, container_id: str) -> None:
        self.containers.pop(container_id, None)
        shutil.rmtree(self._config.container_dir(container_id), ignore_errors=True)

    def containers_of(self, sandbox_id: str) -> list[Container]:
        return [c for c in self.containers.values() if c.sandbox_id == sandbox_id]

    def layers_in_use(self) -> set[str]:
        containers = self.containers.values()
        mounted = {n for c in containers for layers in c.image_mounts.values() for n in layers}
        return mounted | {name for container in containers for name in container.layers}


def _save(path: str, row: dict[str, Any]) -> None:
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    write_atomically(path, json.dumps(row).encode())


def boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def is_alive(process: dict[str, Any]) -> bool:
    """Whether the process of a record (boot_id, pid, start_ticks) still runs."""
    if not process or process["boot_id"] != boot_id():
        return False
    try:
        with open(f"/proc/{process['pid']}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return False
    return int(fields[19]) == process["start_ticks"] and fields[0] != b"Z"
