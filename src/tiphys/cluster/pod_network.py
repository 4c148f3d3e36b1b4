"""The built-in pod network behind the runtime's interface."""

from pathlib import Path

from tiphys.cni.routed_veth import NetworkNotReady, RoutedVethNetwork
from tiphys.runtime.pod_network import NetworkError, PodAttachment


class BuiltInNetwork:
    """One routed veth per pod; see tiphys.cni.routed_veth."""

    def __init__(self, state_dir: Path, mtu: int) -> None:
        self._network = RoutedVethNetwork(state_dir, mtu=mtu)

    async def attach(self, pod: PodAttachment) -> list[str]:
        try:
            return await self._network.attach(Path(pod.netns_path), pod.sandbox_id)
        except (NetworkNotReady, OSError) as exc:
            raise NetworkError(f"pod {pod.namespace}/{pod.name}: {exc}") from exc

    async def detach(self, pod: PodAttachment) -> None:
        try:
            await self._network.detach(pod.sandbox_id)
        except OSError as exc:
            raise NetworkError(f"pod {pod.namespace}/{pod.name}: {exc}") from exc

    def set_pod_cidr(self, cidr: str) -> None:
        self._network.set_pod_cidr(cidr)

    def problem(self) -> str:
        return "" if self._network.ready else "the node has no range of pod addresses yet"
