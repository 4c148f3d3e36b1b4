"""Configuration of a node's runtime: made once, passed by argument."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tiphys.client.metrics_page import MetricsConfig

if TYPE_CHECKING:
    from tiphys.runtime.pod_network import PodNetwork

SHM_BYTES: Final = 64 << 20  # Docker's and containerd's default size of /dev/shm.


@dataclass(frozen=True)
class RuntimeConfig:
    """One node of one profile.

    socket_path: where CRI is served.
    root_dir: what survives a reboot: images, containers' files, records.
    state_dir: sockets of shims and zygote.
    cgroup_root: the profile's group below the cgroup mount; cgroup parents of pods go below it.
    registry_mirrors: base URLs to ask first, by registry host; "*" stands for every registry.
    network: makes the pod network; None leaves pods with loopback only.
    stream_host: the address on which exec, attach and port-forward streams are served.
    zygote_socket: a zygote that several nodes share; empty: the runtime starts its own.
    metrics: where the page of metrics is; None: nowhere.
    namespaces: what a shim of a shared zygote enters first, in this order: path, CLONE_NEW* flag.
    """

    profile: str
    node_name: str
    socket_path: str
    root_dir: str
    state_dir: str
    cgroup_root: str
    registry_mirrors: Mapping[str, Sequence[str]] = field(default_factory=dict)
    network: "PodNetwork | None" = None
    stream_host: str = "127.0.0.1"
    shm_bytes: int = SHM_BYTES
    zygote_socket: str = ""
    namespaces: Sequence[tuple[str, int]] = ()
    metrics: MetricsConfig | None = None

    @property
    def label(self) -> str:
        """What process titles carry."""
        return f"[{self.profile}/{self.node_name}]"

    def container_dir(self, container_id: str) -> str:
        return os.path.join(self.root_dir, "containers", container_id)

    def sandbox_dir(self, sandbox_id: str) -> str:
        return os.path.join(self.root_dir, "sandboxes", sandbox_id)

    def shim_socket(self, sandbox_id: str) -> str:
        return os.path.join(self.state_dir, "shims", f"{sandbox_id[:20]}.sock")

    @property
    def images_dir(self) -> str:
        return os.path.join(self.root_dir, "images")
