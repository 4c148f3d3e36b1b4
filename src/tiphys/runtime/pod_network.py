"""What the runtime asks of the pod network; tiphys.cni.routed_veth is the built-in one."""

from pathlib import Path
from typing import Protocol


class PodNetwork(Protocol):
    """`attach` may be called again for a pod that is attached, `detach` for one that is not."""

    @property
    def ready(self) -> bool: ...

    def set_pod_cidr(self, cidr: str) -> None:
        """The node's range of pod addresses, from CRI UpdateRuntimeConfig."""
        ...

    async def attach(self, namespace: Path, sandbox_id: str) -> list[str]:
        """Join a pod's network namespace; returns its addresses. Raises: OSError saying why."""
        ...

    async def detach(self, sandbox_id: str) -> None:
        """The namespace may be gone already. Raises: OSError saying why."""
        ...


class LoopbackOnly:
    """No network: every pod has its loopback and no address."""

    ready = True

    def set_pod_cidr(self, cidr: str) -> None:
        return None

    async def attach(self, namespace: Path, sandbox_id: str) -> list[str]:
        return []

    async def detach(self, sandbox_id: str) -> None:
        return None
