"""The CRI server of a node: which method is answered by what, and the calls about the runtime."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from tiphys import __version__
from tiphys.cri.server import Streaming, Unary
from tiphys.cri.streaming import StreamingServer
from tiphys.lib.clock import SystemClock
from tiphys.runtime import containers as containers_module
from tiphys.runtime import sandboxes as sandboxes_module
from tiphys.runtime.containers import Containers
from tiphys.runtime.image_service import Images
from tiphys.runtime.images.pull import Puller, machine
from tiphys.runtime.node import Node
from tiphys.runtime.sandboxes import Sandboxes
from tiphys.runtime.stats import Stats
from tiphys.runtime.streams import RuntimeStreams

RUNTIME_NAME: Final = "tiphys"
CRI_VERSION: Final = "v1"
KUBELET_API_VERSION: Final = "0.1.0"  # What every runtime answers in VersionResponse.version.
Call = Mapping[str, Any]
Answer = dict[str, Any]


class Service:
    """All handlers over one node's state."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.sandboxes = Sandboxes(node, lambda state: self.containers.ended(state))
        self.containers = Containers(node, self.sandboxes)
        self.images = Images(node, Puller(node.images, node.config.registry_mirrors, machine()))
        self.stats = Stats(node, self.sandboxes)
        self.streams = RuntimeStreams(node, self.containers)
        self.streaming = StreamingServer(self.streams, SystemClock())
        node.describe = self.describe

    def describe(self, sandbox_id: str) -> Answer:
        """The sandbox's and its containers' status, as events carry them."""
        sandbox = self.node.records.sandboxes.get(sandbox_id)
        if sandbox is None:
            return {}
        containers = self.node.records.containers_of(sandbox_id)
        return {
            "pod_sandbox_status": sandboxes_module.full_status(sandbox),
            "containers_statuses": [containers_module.full_status(c) for c in containers],
        }

    def unary(self) -> dict[str, Unary]:
        handlers: dict[str, Unary] = {
            "Version": self.version,
            "Status": self.status,
            "RuntimeConfig": self.runtime_config,
            "UpdateRuntimeConfig": self.update_runtime_config,
            "RunPodSandbox": self.sandboxes.run,
            "StopPodSandbox": self.sandboxes.stop,
            "RemovePodSandbox": self.sandboxes.remove,
            "UpdatePodSandboxResources": self.sandboxes.update,
            "PodSandboxStatus": self.sandboxes.status,
            "ListPodSandbox": self.sandboxes.list,
            "CreateContainer": self.containers.create,
            "StartContainer": self.containers.start,
            "StopContainer": self.containers.stop,
            "RemoveContainer": self.containers.remove,
            "ContainerStatus": self.containers.status,
            "ListContainers": self.containers.list,
            "UpdateContainerResources": self.containers.update,
            "ReopenContainerLog": self.containers.reopen_log,
            "ExecSync": self.streams.exec_sync,
            "Exec": self.streaming.exec,
            "Attach": self.streaming.attach,
            "PortForward": self.streaming.port_forward,
            "ContainerStats": self.stats.container,
            "ListContainerStats": self.stats.containers,
            "PodSandboxStats": self.stats.sandbox,
            "ListPodSandboxStats": self.stats.sandboxes,
            "ListImages": self.images.list,
            "ImageStatus": self.images.status,
            "PullImage": self.images.pull,
            "RemoveImage": self.images.remove,
            "ImageFsInfo": self.images.fs_info,
        }
        return handlers

    def streaming_calls(self) -> dict[str, Streaming]:
        return {
            "GetContainerEvents": self.events,
            "StreamPodSandboxes": _in_one(self.sandboxes.list, "items", "pod_sandboxes"),
            "StreamContainers": _in_one(self.containers.list, "containers", "containers"),
            "StreamImages": _in_one(self.images.list, "images", "images"),
            "StreamContainerStats": _in_one(self.stats.containers, "stats", "container_stats"),
            "StreamPodSandboxStats": _in_one(self.stats.sandboxes, "stats", "pod_sandbox_stats"),
        }

    def events(self, request: Call) -> AsyncIterator[Answer]:
        return self.node.events()

    async def version(self, request: Call) -> Answer:
        return {
            "version": KUBELET_API_VERSION,
            "runtime_name": RUNTIME_NAME,
            "runtime_version": __version__,
            "runtime_api_version": CRI_VERSION,
        }

    async def status(self, request: Call) -> Answer:
        network: Answer = {"type": "NetworkReady", "status": self.node.network.ready}
        if not network["status"]:
            network |= {
                "reason": "NetworkPluginNotReady",
                "message": "Network plugin returns error: the node has no podCIDR yet",
            }
        return {
            "status": {"conditions": [{"type": "RuntimeReady", "status": True}, network]},
            "runtime_handlers": [{"name": "", "features": {}}, {"name": "runc", "features": {}}],
            "features": {"supplemental_groups_policy": True},
        }

    async def runtime_config(self, request: Call) -> Answer:
        return {"linux": {"cgroup_driver": "CGROUPFS"}}

    async def update_runtime_config(self, request: Call) -> Answer:
        config = request.get("runtime_config") or {}
        if cidr := (config.get("network_config") or {}).get("pod_cidr"):
            self.node.network.set_pod_cidr(cidr)
        return {}


def _in_one(handler: Unary, key: str, as_key: str) -> Streaming:
    """A list as a stream of one message. Upstream: KEP-5825 (streaming lists)."""

    async def stream(request: Call) -> AsyncIterator[Answer]:
        answer = await handler(dict(request))
        yield {as_key: answer[key]}

    return stream
