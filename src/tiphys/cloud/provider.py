"""What a cloud must be able to do for the controllers.

Upstream: k8s.io/cloud-provider cloud.go (LoadBalancer).
"""

from collections.abc import Sequence
from typing import Protocol

from tiphys.api.meta import Obj


class ProviderError(Exception):
    """The provider could not do what was asked: what and why."""


class LoadBalancers(Protocol):
    """Idempotent: repeating a call after a crash changes nothing."""

    async def ensure(self, service: Obj, nodes: Sequence[Obj]) -> list[Obj]:
        """A balancer for the Service; its ingress list. Raises ProviderError."""
        ...

    async def delete(self, service: Obj) -> None:
        """No such balancer is fine. Raises ProviderError."""
        ...
