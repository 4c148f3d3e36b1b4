"""What a cloud must be able to do for the controllers: in parts, each of which it may lack.

Upstream: k8s.io/cloud-provider cloud.go (LoadBalancer, InstancesV2, Routes).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from tiphys.api.meta import Obj, at, is_terminating, labels_of, name_of, uid_of

EXCLUDED: Final = "node.kubernetes.io/exclude-from-external-load-balancers"
TO_BE_DELETED: Final = "ToBeDeletedByClusterAutoscaler"
BALANCER_NAME_CHARS_MAX: Final = 32  # What clouds allow: DefaultLoadBalancerName.


class ProviderError(Exception):
    """The provider could not do what was asked: what and why."""


@dataclass(frozen=True, slots=True)
class InstanceMetadata:
    """addresses: as in Node.status. Empty texts: the cloud does not tell."""

    provider_id: str
    instance_type: str = ""
    addresses: Sequence[Mapping[str, str]] = field(default_factory=tuple)
    zone: str = ""
    region: str = ""


class Instances(Protocol):
    """Machines of the cloud, by Node: by its providerID, or by its name while it has none."""

    async def exists(self, node: Obj) -> bool:
        """Raises ProviderError when that cannot be told."""
        ...

    async def is_shut_down(self, node: Obj) -> bool:
        """Raises ProviderError."""
        ...

    async def metadata(self, node: Obj) -> InstanceMetadata:
        """Raises ProviderError, also when there is no such machine."""
        ...


class LoadBalancers(Protocol):
    """Idempotent: repeating a call after a crash changes nothing."""

    async def ensure(self, service: Obj, nodes: Sequence[Obj]) -> list[Obj]:
        """A balancer for the Service with these nodes behind it; its ingress list.

        Empty while its address is not known yet. Raises ProviderError.
        """
        ...

    async def delete(self, service: Obj) -> None:
        """No such balancer is fine. Raises ProviderError."""
        ...


class Route(NamedTuple):
    """The way to a node's pods. name: the provider's own, empty for one to be made."""

    node: str
    cidr: str
    next_hop: str
    name: str = ""


class Routes(Protocol):
    async def list(self) -> Sequence[Route]:
        """Raises ProviderError."""
        ...

    async def create(self, route: Route) -> None:
        """Raises ProviderError."""
        ...

    async def delete(self, route: Route) -> None:
        """No such route is fine. Raises ProviderError."""
        ...


@dataclass(frozen=True, slots=True)
class Provider:
    """A cloud. None: it has no such part, and no controller runs for it."""

    name: str
    load_balancers: LoadBalancers | None = None
    instances: Instances | None = None
    routes: Routes | None = None


def balancer_name(service: Obj) -> str:
    """The same whoever asks, also after a restart. Upstream: DefaultLoadBalancerName."""
    return f"a{uid_of(service).replace('-', '')}"[:BALANCER_NAME_CHARS_MAX]


def takes_traffic(node: Obj) -> bool:
    """Whether a node belongs behind load balancers. Upstream: stableNodeSetPredicates."""
    taints = at(node, "spec", "taints", default=[])
    return (
        bool(name_of(node))
        and not is_terminating(node)
        and EXCLUDED not in labels_of(node)
        and all(t.get("key") != TO_BE_DELETED for t in taints)
    )


def address_of(node: Obj) -> str:
    """The node's internal address; empty when it has none yet."""
    for address in at(node, "status", "addresses", default=[]):
        if address.get("type") == "InternalIP":
            return str(address["address"])
    return ""
