"""What the runtime asks of the pod network. CNI gives it; without one pods have loopback only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class PodAttachment:
    """Which pod is to be attached: CNI's K8S_POD_* arguments and the namespace's path."""

    sandbox_id: str
    netns_path: str
    namespace: str
    name: str
    uid: str
    port_mappings: Sequence[dict[str, Any]] = ()


class NetworkError(Exception):
    """The pod could not be attached; the text is for the pod's events."""


class PodNetwork(Protocol):
    """`attach` may be called again for a pod that is attached, `detach` for one that is not."""

    async def attach(self, pod: PodAttachment) -> list[str]:
        """Returns the pod's addresses. Raises: NetworkError."""
        ...

    async def detach(self, pod: PodAttachment) -> None:
        """The namespace may be gone already. Raises: NetworkError."""
        ...

    def problem(self) -> str:
        """Why the network is not ready; "" when it is."""
        ...


class LoopbackOnly:
    """No network: every pod has its loopback and no address."""

    async def attach(self, pod: PodAttachment) -> list[str]:
        return []

    async def detach(self, pod: PodAttachment) -> None:
        return None

    def problem(self) -> str:
        return ""
